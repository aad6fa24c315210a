import assert from "node:assert/strict";
import { NativeError } from "../../src/native/error.ts";
import { FileSet } from "../../src/native/file_set.ts";
import { HostRoot } from "../../src/native/host_files.ts";

/** Runs `test` with an empty set and a root over a new directory. */
function withSet(test: (set: FileSet, root: HostRoot, path: string) => void): void {
  const path = Deno.makeTempDirSync();
  try {
    using root = HostRoot.open(path);
    using set = FileSet.open();
    test(set, root, path);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

const texts = (files: readonly (string | NativeError)[]) =>
  files.map((file) => file instanceof NativeError ? file.code : file);

/** How many descriptors of this process refer to a file. */
function descriptorsOf(path: string): number {
  const target = (name: string) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      return undefined; // closed meanwhile, as the descriptor that lists them is
    }
  };
  return [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => target(name) === path).length;
}

Deno.test("each file is read anew, from its beginning, in the order asked for", () =>
  withSet((set, root, path) => {
    const slots = ["a", "bb", ""].map((content, index) => {
      Deno.writeTextFileSync(`${path}/${index}`, content);
      return set.add(root, `${index}`);
    });
    assert.deepEqual(set.readText(slots), ["a", "bb", ""]);
    Deno.writeTextFileSync(`${path}/0`, "longer");
    assert.deepEqual(set.readText(slots.toReversed()), ["", "bb", "longer"]);
    assert.deepEqual(set.readText([]), []);
  }));

Deno.test("thousands of files are read at once, the buffer growing as needed", () =>
  withSet((set, root, path) => {
    const slots: number[] = [];
    const expected: string[] = [];
    for (let index = 0; index < 3000; index++) {
      expected.push(`${index} `.repeat(index % 100));
      Deno.writeTextFileSync(`${path}/${index}`, expected[index] ?? "");
      slots.push(set.add(root, `${index}`));
    }
    assert.deepEqual(set.readText(slots), expected);
    Deno.writeTextFileSync(`${path}/7`, "x".repeat(5_000_000));
    assert.equal(set.read(slots.slice(7, 8))[0] instanceof NativeError, false);
    assert.deepEqual(set.readText(slots).toSpliced(7, 1), expected.toSpliced(7, 1));
  }));

Deno.test("a slot that was given up fails alone, and is used again", () =>
  withSet((set, root, path) => {
    for (const name of ["a", "b", "c"]) Deno.writeTextFileSync(`${path}/${name}`, name);
    const [a, b] = [set.add(root, "a"), set.add(root, "b")];
    set.remove(a);
    assert.deepEqual(texts(set.readText([a, b, 4_000_000_000])), ["EBADF", "b", "EBADF"]);
    assert.throws(() => set.remove(a), { code: "EBADF", message: /^Cannot close .*\/a: EBADF/ });
    assert.throws(() => set.add(root, "none"), { code: "ENOENT", message: /^Cannot open .*\/none: ENOENT/ });
    assert.equal(set.add(root, "c"), a);
    assert.deepEqual(texts(set.readText([a, b])), ["c", "b"]);
  }));

Deno.test("a file of a process that has ended fails alone", async () => {
  using proc = HostRoot.open("/proc");
  using set = FileSet.open();
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  const slots = [set.add(proc, `${child.pid}/stat`), set.add(proc, "self/stat")];
  const before = set.readText(slots);
  assert.ok(before.every((text) => typeof text === "string" && text.endsWith("\n")));
  child.kill("SIGKILL");
  await child.status;
  const [gone, self] = set.readText(slots);
  assert.ok(gone instanceof NativeError);
  assert.equal(gone.message, `Cannot read /proc/${child.pid}/stat: ESRCH (no such process)`);
  assert.ok(String(self).startsWith(`${Deno.pid} `));
});

Deno.test("a file stays in the set after its root is closed", () =>
  withSet((set, root, path) => {
    Deno.writeTextFileSync(`${path}/file`, "content");
    const slot = set.add(root, "file");
    root.close();
    assert.deepEqual(set.readText([slot]), ["content"]);
  }));

Deno.test("a closed set is refused, its descriptors are closed", () =>
  withSet((set, root, path) => {
    const file = `${path}/file`;
    Deno.writeTextFileSync(file, "");
    for (let count = 0; count < 100; count++) set.add(root, "file");
    assert.equal(descriptorsOf(file), 100);
    set.remove(0);
    assert.equal(descriptorsOf(file), 99);
    set.close();
    set.close();
    assert.equal(descriptorsOf(file), 0);
    assert.throws(() => set.read([0]), { code: "EBADF" });
  }));
