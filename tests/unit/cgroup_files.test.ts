/** Files of cgroups over ordinary directories: what is read, kept open and let go of. */
import assert from "node:assert/strict";
import { CgroupFiles } from "../../src/cgroup/files.ts";
import { HostRoot } from "../../src/native/host_files.ts";

/** A directory with a directory for each cgroup, and the files in them. */
class Hierarchy implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "kpod-cgroup-files-" });
  readonly root = HostRoot.open(this.path);

  write(cgroup: string, texts: Readonly<Record<string, string>>): void {
    Deno.mkdirSync(`${this.path}/${cgroup}`, { recursive: true });
    for (const [name, text] of Object.entries(texts)) {
      Deno.writeTextFileSync(`${this.path}/${cgroup}/${name}`, text);
    }
  }

  remove(cgroup: string): void {
    Deno.removeSync(`${this.path}/${cgroup}`, { recursive: true });
  }

  /** How many descriptors of this process are of files in it. */
  descriptors(): number {
    return openFiles().filter((path) => path.startsWith(`${this.path}/`)).length;
  }

  [Symbol.dispose](): void {
    this.root.close();
    Deno.removeSync(this.path, { recursive: true });
  }
}

function openFiles(): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      return [Deno.readLinkSync(`/proc/self/fd/${name}`)];
    } catch {
      return [];
    }
  });
}

const A = { id: 1n, path: "a" };
const B = { id: 2n, path: "b" };

Deno.test("texts are found by cgroup and name, and what is not there is undefined", async () => {
  using hierarchy = new Hierarchy();
  hierarchy.write("a", { one: "a1\n", two: "a2\n" });
  hierarchy.write("b", { two: "b2\n", three: "not asked for" });
  using files = new CgroupFiles(["one", "two"]);
  assert.equal(files.text(A.id, "one"), undefined, "before anything is read");
  await files.refresh(hierarchy.root, [A, B]);
  const texts = [A.id, B.id, 3n].map((id) => ["one", "two", "three"].map((name) => files.text(id, name)));
  assert.deepEqual(texts, [["a1\n", "a2\n", undefined], [undefined, "b2\n", undefined], [
    undefined,
    undefined,
    undefined,
  ]]);
});

Deno.test("each refresh reads anew, on the same descriptors", async () => {
  using hierarchy = new Hierarchy();
  hierarchy.write("a", { one: "long before\n" });
  using files = new CgroupFiles(["one"]);
  for (const text of ["long before\n", "now\n", ""]) {
    hierarchy.write("a", { one: text });
    await files.refresh(hierarchy.root, [A]);
    assert.equal(files.text(A.id, "one"), text);
    assert.equal(hierarchy.descriptors(), 1);
  }
});

Deno.test("a cgroup that is not wanted any more has no texts and no descriptors", async () => {
  using hierarchy = new Hierarchy();
  for (const name of ["a", "b"]) hierarchy.write(name, { one: `${name}\n`, two: "2\n" });
  using files = new CgroupFiles(["one", "two"]);
  await files.refresh(hierarchy.root, [A, B]);
  assert.equal(hierarchy.descriptors(), 4);
  await files.refresh(hierarchy.root, [B]);
  assert.deepEqual([files.text(A.id, "one"), files.text(B.id, "one")], [undefined, "b\n"]);
  assert.equal(hierarchy.descriptors(), 2);
  await files.refresh(hierarchy.root, []);
  assert.equal(hierarchy.descriptors(), 0);
});

Deno.test("any other file is read on demand, as it is then", async () => {
  using hierarchy = new Hierarchy();
  hierarchy.write("a", { one: "1\n", other: "before\n" });
  using files = new CgroupFiles(["one"]);
  assert.equal(files.textNow("a", "other"), undefined, "before anything is read");
  await files.refresh(hierarchy.root, [A]);
  assert.equal(files.textNow("a", "other"), "before\n");
  hierarchy.write("a", { one: "2\n", other: "now\n" });
  assert.deepEqual([files.textNow("a", "other"), files.textNow("a", "one"), files.text(A.id, "one")], [
    "now\n",
    "2\n",
    "1\n",
  ]);
  assert.equal(files.textNow("a", "none"), undefined);
  assert.equal(files.textNow("b", "one"), undefined);
  assert.throws(() => files.textNow("a", "../../etc"), { code: "EXDEV" });
  assert.equal(hierarchy.descriptors(), 1);
});

Deno.test("a cgroup that is gone before it was first read harms no other", async () => {
  using hierarchy = new Hierarchy();
  hierarchy.write("b", { one: "b\n" });
  using files = new CgroupFiles(["one"]);
  await files.refresh(hierarchy.root, [A, B]);
  assert.deepEqual([files.text(A.id, "one"), files.text(B.id, "one")], [undefined, "b\n"]);
});

Deno.test("another cgroup under the name of one that is gone is read, not the one that is gone", async () => {
  using hierarchy = new Hierarchy();
  hierarchy.write("a", { one: "old\n" });
  using files = new CgroupFiles(["one"]);
  await files.refresh(hierarchy.root, [A]);
  hierarchy.remove("a");
  hierarchy.write("a", { one: "new\n" });
  await files.refresh(hierarchy.root, [{ id: 3n, path: "a" }]);
  assert.deepEqual([files.text(A.id, "one"), files.text(3n, "one")], [undefined, "new\n"]);
  assert.equal(hierarchy.descriptors(), 1);
});

Deno.test("in another hierarchy everything is opened anew", async () => {
  using one = new Hierarchy();
  using other = new Hierarchy();
  one.write("a", { one: "one\n" });
  other.write("a", { one: "other\n" });
  using files = new CgroupFiles(["one"]);
  await files.refresh(one.root, [A]);
  await files.refresh(other.root, [A]);
  assert.equal(files.text(A.id, "one"), "other\n");
  assert.deepEqual([one.descriptors(), other.descriptors()], [0, 1]);
});

Deno.test("a file that cannot be opened is an error, of which the other cgroups are none the worse", async () => {
  using hierarchy = new Hierarchy();
  hierarchy.write("a", { one: "a\n" });
  hierarchy.write("b", { one: "b\n" });
  // What leads out of the hierarchy is refused.
  Deno.symlinkSync("/etc/passwd", `${hierarchy.path}/a/two`);
  using files = new CgroupFiles(["one", "two"]);
  for (const text of ["b\n", "later\n"]) {
    hierarchy.write("b", { one: text });
    await assert.rejects(files.refresh(hierarchy.root, [A, B]), { name: "NativeError", code: "EXDEV" });
    assert.deepEqual([files.text(A.id, "one"), files.text(B.id, "one")], [undefined, text]);
    assert.equal(hierarchy.descriptors(), 1, "nothing of the broken one stays open");
  }
});

Deno.test("after close nothing is open or known, and it may be used again", async () => {
  using hierarchy = new Hierarchy();
  hierarchy.write("a", { one: "a\n" });
  using files = new CgroupFiles(["one"]);
  await files.refresh(hierarchy.root, [A]);
  files.close();
  assert.equal(files.text(A.id, "one"), undefined);
  assert.equal(hierarchy.descriptors(), 0);
  await files.refresh(hierarchy.root, [A]);
  assert.equal(files.text(A.id, "one"), "a\n");
});

Deno.test("files of hundreds of cgroups are read, each its own", async () => {
  using hierarchy = new Hierarchy();
  const cgroups = Array.from({ length: 300 }, (_, index) => ({ id: BigInt(index), path: `c${index}` }));
  for (const { path } of cgroups) hierarchy.write(path, { one: `${path} ${"x".repeat(100)}\n` });
  using files = new CgroupFiles(["one"]);
  await files.refresh(hierarchy.root, cgroups);
  for (const { id, path } of cgroups) assert.equal(files.text(id, "one")?.split(" ")[0], path);
});
