import assert from "node:assert/strict";
import { NativeError } from "../../src/native/error.ts";
import type { FileSet } from "../../src/native/file_set.ts";
import { HostRoot } from "../../src/native/host_files.ts";

/** Runs `test` with an empty set over a new directory, that directory's path and root. */
function withSet(test: (set: FileSet, path: string, root: HostRoot) => void): void {
  const path = Deno.makeTempDirSync();
  try {
    using root = HostRoot.open(path);
    using set = root.fileSet();
    test(set, path, root);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

const texts = (files: readonly (string | undefined | NativeError)[]) =>
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

Deno.test("each file is read anew, from its beginning, in the order asked for, and given if it has changed", () =>
  withSet((set, path) => {
    const slots = ["a", "bb", ""].map((content, index) => {
      Deno.writeTextFileSync(`${path}/${index}`, content);
      return set.add(`${index}`);
    });
    assert.deepEqual(set.refresh(slots), ["a", "bb", ""]);
    assert.deepEqual(set.refresh(slots), [undefined, undefined, undefined]);
    Deno.writeTextFileSync(`${path}/0`, "longer");
    assert.deepEqual(set.refresh(slots.toReversed()), [undefined, undefined, "longer"]);
    Deno.writeTextFileSync(`${path}/0`, "longes");
    Deno.writeTextFileSync(`${path}/2`, "x");
    assert.deepEqual(set.refresh(slots), ["longes", undefined, "x"]);
    Deno.writeTextFileSync(`${path}/0`, "long");
    Deno.writeTextFileSync(`${path}/2`, "");
    assert.deepEqual(set.refresh(slots), ["long", undefined, ""]);
    assert.deepEqual(set.refresh([]), []);
  }));

Deno.test("whatever files come to, what is given last is what they have in them", () =>
  withSet((set, path) => {
    const names = ["a", "b", "c"];
    for (const name of names) Deno.writeTextFileSync(`${path}/${name}`, "");
    const slots = names.map((name) => set.add(name));
    const held = names.map(() => "none");
    const actual = names.map(() => "");
    for (let step = 0; step < 300; step++) {
      const index = Math.floor(Math.random() * names.length);
      actual[index] = "xyz".repeat(Math.floor(Math.random() * 3)).slice(Math.floor(Math.random() * 3));
      Deno.writeTextFileSync(`${path}/${names[index]}`, actual[index]);
      if (step % 3 !== 0) continue;
      set.refresh(slots).forEach((text, index) => {
        if (text === undefined) return;
        assert.ok(!(text instanceof NativeError));
        assert.notEqual(text, held[index], "it has not changed");
        held[index] = text;
      });
      assert.deepEqual(held, actual);
    }
  }));

Deno.test("thousands of files are read at once, however large", () =>
  withSet((set, path) => {
    const slots: number[] = [];
    const expected: string[] = [];
    for (let index = 0; index < 3000; index++) {
      expected.push(`${index} `.repeat(index % 100));
      Deno.writeTextFileSync(`${path}/${index}`, expected[index] ?? "");
      slots.push(set.add(`${index}`));
    }
    assert.deepEqual(set.refresh(slots), expected);
    for (const size of [65535, 65536, 65537, 2_000_000]) {
      const large = "x".repeat(size);
      Deno.writeTextFileSync(`${path}/7`, large);
      const read = set.refresh(slots);
      assert.ok(read[7] === large, `${size}`);
      assert.ok(read.every((text, index) => text === undefined || index === 7));
    }
  }));

Deno.test("a file without an end fails alone", () => {
  using dev = HostRoot.open("/dev");
  using set = dev.fileSet();
  const slots = [set.add("null"), set.add("zero")];
  assert.deepEqual(texts(set.refresh(slots)), ["", "EMSGSIZE"]);
  assert.deepEqual(texts(set.refresh(slots)), [undefined, "EMSGSIZE"]);
});

Deno.test("a slot that was given up fails alone, and is used again, for what is read as if for the first time", () =>
  withSet((set, path) => {
    for (const name of ["a", "b", "c"]) Deno.writeTextFileSync(`${path}/${name}`, "same");
    const [a, b] = [set.add("a"), set.add("b")];
    assert.deepEqual(set.refresh([a, b]), ["same", "same"]);
    set.remove(a);
    assert.deepEqual(texts(set.refresh([a, b, 4_000_000_000])), ["EBADF", undefined, "EBADF"]);
    assert.throws(() => set.remove(a), { code: "EBADF", message: /^Cannot close .*\/a: EBADF/ });
    assert.throws(() => set.add("none"), { code: "ENOENT", message: /^Cannot open .*\/none: ENOENT/ });
    assert.equal(set.add("c"), a);
    assert.deepEqual(set.refresh([a, b]), ["same", undefined]);
  }));

Deno.test("a file that is opened anew is another one when it was replaced, and may be missing for a while", () =>
  withSet((set, path) => {
    const file = `${path}/directory/file`;
    Deno.mkdirSync(`${path}/directory`);
    const slot = set.addAnew("directory", "file");
    const inode = () => BigInt(Deno.statSync(file).ino ?? 0);
    assert.deepEqual(texts(set.refresh([slot])), ["ENOENT"]);
    Deno.writeTextFileSync(file, "a");
    assert.deepEqual(set.refresh([slot]), ["a"]);
    assert.equal(set.inode(slot), inode());
    assert.deepEqual(set.refresh([slot]), [undefined]);
    Deno.writeTextFileSync(`${file}2`, "a");
    Deno.renameSync(`${file}2`, file);
    assert.deepEqual(set.refresh([slot]), ["a"], "of the same text, and not the same");
    assert.equal(set.inode(slot), inode());
    Deno.removeSync(file);
    assert.deepEqual(texts(set.refresh([slot])), ["ENOENT"]);
    Deno.writeTextFileSync(file, "a");
    assert.deepEqual(set.refresh([slot]), ["a"], "it was missing meanwhile");
    assert.equal(descriptorsOf(file), 0);
    assert.equal(descriptorsOf(`${path}/directory`), 1);
    assert.throws(() => set.addAnew("none", "file"), { code: "ENOENT", message: /\/none\/file: ENOENT/ });
    set.remove(slot);
    assert.equal(descriptorsOf(`${path}/directory`), 0);
  }));

Deno.test("files of a process that has ended fail alone", async () => {
  using proc = HostRoot.open("/proc");
  using set = proc.fileSet();
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  const pid = String(child.pid);
  const slots = [
    set.add(`${pid}/stat`),
    set.addAnew(pid, "mountinfo"),
    set.addAnew(pid, "net/dev"),
    set.add("self/stat"),
  ];
  const before = set.refresh(slots);
  assert.ok(before.every((text) => typeof text === "string" && text.endsWith("\n")));
  child.kill("SIGKILL");
  await child.status;
  const [gone, mountinfo, netDev, self] = set.refresh(slots);
  assert.ok(gone instanceof NativeError);
  assert.equal(gone.message, `Cannot read /proc/${pid}/stat: ESRCH (no such process)`);
  for (const file of [mountinfo, netDev]) {
    assert.ok(file instanceof NativeError && ["ENOENT", "ESRCH", "EINVAL"].includes(file.code), String(file));
  }
  assert.ok(String(self).startsWith(`${Deno.pid} `));
});

Deno.test("a file stays in the set after its root is closed", () =>
  withSet((set, path, root) => {
    Deno.writeTextFileSync(`${path}/file`, "content");
    const slot = set.add("file");
    root.close();
    assert.deepEqual(set.refresh([slot]), ["content"]);
  }));

Deno.test("a closed set is refused, its descriptors are closed", () =>
  withSet((set, path) => {
    const file = `${path}/file`;
    Deno.writeTextFileSync(file, "");
    for (let count = 0; count < 100; count++) set.add("file");
    assert.equal(descriptorsOf(file), 100);
    set.remove(0);
    assert.equal(descriptorsOf(file), 99);
    set.close();
    set.close();
    assert.equal(descriptorsOf(file), 0);
    assert.throws(() => set.refresh([0]), { code: "EBADF" });
  }));

/** Runs `test` with a set of hundreds of files in a new directory. */
async function withMany(test: (set: FileSet, slots: number[], path: string) => Promise<void>): Promise<void> {
  const path = Deno.makeTempDirSync();
  try {
    using root = HostRoot.open(path);
    using set = root.fileSet();
    const slots = Array.from({ length: 500 }, (_, index) => {
      Deno.writeTextFileSync(`${path}/${index}`, `${index}`);
      return set.add(`${index}`);
    });
    await test(set, slots, path);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

Deno.test("another thread reads the same, and nobody may touch the set meanwhile", () =>
  withMany(async (set, slots, path) => {
    const reading = set.refreshApart(slots);
    const uses = [() => set.add("0"), () => set.remove(0), () => set.refresh([0]), () => set.inode(0)];
    for (const use of uses) assert.throws(use, { code: "EBUSY", message: /being read/ });
    await assert.rejects(set.refreshApart(slots), { code: "EBUSY" });
    assert.deepEqual(await reading, slots.map(String));
    Deno.writeTextFileSync(`${path}/7`, "changed");
    const expected = slots.map((_, index) => index === 7 ? "changed" : undefined);
    assert.deepEqual(await set.refreshApart(slots), expected);
    assert.deepEqual(set.refresh(slots), slots.map(() => undefined));
    assert.deepEqual(texts(await set.refreshApart([slots.length])), ["EBADF"]);
  }));

Deno.test("a set may be closed while another thread reads, and is when that is done", () =>
  withMany(async (set, slots, path) => {
    const reading = set.refreshApart(slots);
    set.close();
    assert.deepEqual(await reading, []);
    assert.deepEqual(descriptorsOf(`${path}/7`), 0);
    assert.throws(() => set.refresh([0]), { code: "EBADF" });
  }));
