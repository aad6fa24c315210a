import assert from "node:assert/strict";
import { environmentNames } from "../../src/native/environment.ts";
import { NativeError } from "../../src/native/error.ts";
import { HostRoot, readHostFile } from "../../src/native/host_files.ts";

/** Runs `test` with a root over a new directory, and that directory's path. */
async function withRoot(test: (root: HostRoot, path: string) => void | Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    using root = HostRoot.open(path);
    await test(root, path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof NativeError) return error.code;
    throw error;
  }
  return "no error";
}

Deno.test("a path that leads out of its root is refused, a link that stays inside is followed", () =>
  withRoot((root, path) => {
    Deno.mkdirSync(`${path}/inside/deep`, { recursive: true });
    Deno.writeTextFileSync(`${path}/inside/file`, "content");
    Deno.symlinkSync("inside", `${path}/link`);
    Deno.symlinkSync("link/file", `${path}/link-to-link`);
    Deno.symlinkSync(`${path}/inside/file`, `${path}/absolute`);
    Deno.symlinkSync("../../../etc/hostname", `${path}/inside/upward`);
    Deno.symlinkSync("loop", `${path}/loop`);

    for (
      const inside of ["inside/file", "link/file", "link-to-link", "inside/deep/../file", "./inside//file"]
    ) {
      assert.equal(root.readText(inside), "content", inside);
    }
    const outside = [
      ["/etc/hostname", "EXDEV"],
      ["..", "EXDEV"],
      ["inside/../../x", "EXDEV"],
      ["absolute", "EXDEV"],
      ["inside/upward", "EXDEV"],
      ["loop", "ELOOP"],
      ["nothing", "ENOENT"],
      ["", "ENOENT"],
      ["inside", "EISDIR"],
      ["inside/file/x", "ENOTDIR"],
      ["x".repeat(300), "ENAMETOOLONG"],
      ["inside/file\0.txt", "EINVAL"],
    ] as const;
    for (const [relative, code] of outside) {
      assert.equal(codeOf(() => root.readFile(relative)), code, relative);
    }
  }));

Deno.test("a magic link of /proc is not followed beneath a root, but may be opened as one", () => {
  using proc = HostRoot.open("/proc");
  assert.equal(codeOf(() => proc.readFile("self/root/etc/passwd")), "ELOOP");
  using own = HostRoot.open("/proc/self/root");
  assert.deepEqual(own.readFile("etc/passwd"), new Uint8Array(Deno.readFileSync("/etc/passwd")));
});

Deno.test("files are read whole, whatever their size", () =>
  withRoot((root, path) => {
    for (const size of [0, 1, 65535, 65536, 65537, 3_000_000]) {
      const bytes = Uint8Array.from({ length: size }, (_, index) => index % 251);
      Deno.writeFileSync(`${path}/file`, bytes);
      assert.deepEqual(root.readFile("file"), bytes, `${size} bytes`);
    }
  }));

Deno.test("a pipe that nobody writes to is refused at once, as is a file without an end", () =>
  withRoot((root, path) => {
    assert.ok(new Deno.Command("mkfifo", { args: [`${path}/pipe`] }).outputSync().success);
    assert.equal(codeOf(() => root.readText("pipe")), "ESPIPE");
    using dev = HostRoot.open("/dev");
    assert.equal(codeOf(() => dev.readFile("zero")), "EMSGSIZE");
  }));

Deno.test("a file of /proc, whose size is given as 0, is read whole", () => {
  using proc = HostRoot.open("/proc");
  assert.match(proc.readText("self/status"), new RegExp(`^Name:.*^Pid:\\t${Deno.pid}$.*^nonvoluntary`, "ms"));
});

Deno.test("what was read stays as it was when more is read", () =>
  withRoot((root, path) => {
    Deno.writeTextFileSync(`${path}/one`, "one");
    Deno.writeTextFileSync(`${path}/two`, "two");
    const one = root.readFile("one");
    root.readFile("two");
    assert.equal(new TextDecoder().decode(one), "one");
  }));

Deno.test("errors name the path and what went wrong", () =>
  withRoot((root, path) => {
    assert.throws(() => root.readFile("a/b"), {
      name: "NativeError",
      message: `Cannot read ${path}/a/b: ENOENT (no such file or directory)`,
      code: "ENOENT",
      errno: 2,
    });
    assert.throws(() => HostRoot.open(`${path}/c`), {
      message: `Cannot open ${path}/c: ENOENT (no such file or directory)`,
    });
    assert.equal(new NativeError("do this", -12345).message, "Cannot do this: E12345 (error 12345)");
  }));

Deno.test("a closed root is refused, and closing it again does nothing", () => {
  const root = HostRoot.open("/");
  root.close();
  root.close();
  assert.equal(codeOf(() => root.readFile("etc/passwd")), "EBADF");
});

Deno.test("a walk lists directories only, parents first, by inode, whatever they are called", () =>
  withRoot((root, path) => {
    const names = ["a b", "new\nline", "naïve-日本", "12345678", "-", "x".repeat(255)];
    const expected = ["."];
    for (const name of names) {
      expected.push(name, `${name}/child`);
      Deno.mkdirSync(`${path}/${name}/child`, { recursive: true });
      Deno.writeTextFileSync(`${path}/${name}/file`, "");
      Deno.symlinkSync("..", `${path}/${name}/up`);
    }
    const found = root.walk(".");
    assert.deepEqual(found.map((directory) => directory.path).sort(), expected.sort());
    const seen = new Set<string>();
    for (const { id, depth, path: relative } of found) {
      assert.equal(id, BigInt(Deno.statSync(`${path}/${relative}`).ino ?? 0), relative);
      assert.equal(depth, relative === "." ? 0 : relative.split("/").length, relative);
      if (depth > 1) assert.ok(seen.has(relative.slice(0, relative.lastIndexOf("/"))), relative);
      seen.add(relative);
    }
  }));

Deno.test("a walk begins where it is told to and ends at its depth", () =>
  withRoot((root, path) => {
    Deno.mkdirSync(`${path}/a/b/c/d`, { recursive: true });
    Deno.mkdirSync(`${path}/other`);
    Deno.symlinkSync("a", `${path}/link`);
    const paths = (...args: Parameters<HostRoot["walk"]>) =>
      root.walk(...args).map((directory) => directory.path);
    assert.deepEqual(paths("a"), ["a", "a/b", "a/b/c", "a/b/c/d"]);
    assert.deepEqual(paths("a/b//", 1), ["a/b", "a/b/c"]);
    assert.deepEqual(paths("a", 0), ["a"]);
    assert.deepEqual(paths("./", 1).sort(), [".", "a", "other"]);
    assert.deepEqual(paths("link", 1), ["link", "link/b"]);
    assert.equal(codeOf(() => paths("none")), "ENOENT");
    assert.equal(codeOf(() => paths("..")), "EXDEV");
  }));

Deno.test("a walk is the same array until something has changed, which is seen whatever it is", () =>
  withRoot((root, path) => {
    const changes = [
      () => Deno.mkdirSync(`${path}/a`),
      () => Deno.mkdirSync(`${path}/a/b`),
      () => Deno.renameSync(`${path}/a/b`, `${path}/a/c`),
      () => {
        Deno.mkdirSync(`${path}/other`);
        Deno.renameSync(`${path}/other`, `${path}/a/c`);
      },
      () => Deno.removeSync(`${path}/a/c`),
    ];
    let last = root.walk(".");
    for (const change of changes) {
      change();
      const next = root.walk(".");
      assert.notDeepEqual(next, last);
      assert.equal(root.walk("."), next);
      last = next;
    }
    Deno.mkdirSync(`${path}/a/d`);
    assert.deepEqual(root.walk("a").map((directory) => directory.path), ["a", "a/d"]);
    assert.deepEqual(root.walk(".", 1).map((directory) => directory.path), [".", "a"]);
  }));

Deno.test("a walk of more than its buffer is complete", () =>
  withRoot((root, path) => {
    for (let index = 0; index < 3000; index++) Deno.mkdirSync(`${path}/${"long".repeat(10)}-${index}`);
    assert.equal(new Set(root.walk(".").map((directory) => directory.id)).size, 3001);
  }));

Deno.test("a walk below the longest possible path leaves out what has none", () =>
  withRoot((root, path) => {
    const name = "n".repeat(250);
    const before = Deno.cwd();
    try {
      Deno.chdir(path);
      for (let depth = 0; depth < 20; depth++) {
        Deno.mkdirSync(name);
        Deno.chdir(name);
      }
    } finally {
      Deno.chdir(before);
    }
    // 16 names of 250 bytes and the slashes between them fit into 4095 bytes.
    assert.equal(root.walk(".").length, 1 + 16);
  }));

Deno.test("a mounted secret is read through its links, and not when they lead elsewhere", () =>
  withRoot((_, path) => {
    Deno.mkdirSync(`${path}/..2026`);
    Deno.writeTextFileSync(`${path}/..2026/token`, "secret");
    Deno.symlinkSync("..2026", `${path}/..data`);
    Deno.symlinkSync("..data/token", `${path}/token`);
    Deno.symlinkSync("/etc/passwd", `${path}/stolen`);
    assert.equal(new TextDecoder().decode(readHostFile(`${path}/token`)), "secret");
    assert.equal(codeOf(() => readHostFile(`${path}/stolen`)), "EXDEV");
    assert.equal(codeOf(() => readHostFile(`${path}/none`)), "ENOENT");
  }));

Deno.test("environment variables are listed by prefix, values left out", () => {
  const names = ["KPODTEST_A", "KPODTEST_EMPTY", "KPODTEST_EQUALS"];
  Deno.env.set("KPODTEST_A", "value");
  Deno.env.set("KPODTEST_EMPTY", "");
  Deno.env.set("KPODTEST_EQUALS", "KPODTEST_NO=1");
  try {
    assert.deepEqual(environmentNames("KPODTEST_").sort(), names);
    assert.deepEqual(environmentNames("KPODTEST_A=value"), []);
    assert.deepEqual(environmentNames("").sort(), Object.keys(Deno.env.toObject()).sort());
  } finally {
    for (const name of names) Deno.env.delete(name);
  }
});
