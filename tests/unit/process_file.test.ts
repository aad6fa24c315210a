/** One file of many processes: when it is read, taken apart and let go of. */
import assert from "node:assert/strict";
import { ProcessFile } from "../../src/collectors/process_file.ts";
import { type Process, Processes } from "../../src/collectors/processes.ts";
import { FakeProc, liveCgroup, processCycle } from "./fake_proc.ts";

const LIVE = [liveCgroup(1n, "a"), liveCgroup(2n, "b")];

/** Processes 7 and 8 in two containers, and the file `maps` of each. */
function setUp() {
  const proc = new FakeProc();
  proc.put("/a", 7);
  proc.put("/b", 8);
  for (const pid of [7, 8]) proc.files.set(`${pid}/maps`, `${pid} one`);
  const processes = new Processes(proc);
  let parsed = 0;
  const file = new ProcessFile(proc, processes, "maps", (text) => {
    parsed++;
    return { words: text.split(" ") };
  });
  let cycle = processCycle(LIVE);
  return {
    proc,
    next: (live = LIVE) => cycle = processCycle(live),
    parsed: () => parsed,
    read: (id: bigint) => processes.look(cycle, id, (process: Process) => file.of(cycle, process)),
  };
}

Deno.test("a file is taken apart once for each text that it has, and is the same object until then", () => {
  const { proc, next, parsed, read } = setUp();
  const first = read(1n);
  assert.deepEqual(first?.value.words, ["7", "one"]);
  assert.deepEqual(read(2n)?.value.words, ["8", "one"]);
  for (let cycle = 0; cycle < 3; cycle++) {
    next();
    assert.equal(read(1n)?.value, first?.value);
  }
  proc.files.set("7/maps", "7 two");
  assert.equal(read(1n)?.value, first?.value, "a cycle has one answer");
  next();
  assert.deepEqual(read(1n)?.value.words, ["7", "two"]);
  assert.equal(parsed(), 3);
});

Deno.test("a text that is another file's is new, with that file's inode", () => {
  const { proc, next, read } = setUp();
  proc.inodes.set("7/maps", 1n);
  const first = read(1n);
  assert.equal(first?.inode, 1n);
  proc.inodes.set("7/maps", 2n);
  next();
  assert.equal(read(1n)?.inode, 2n);
  assert.notEqual(read(1n)?.value, first?.value);
});

Deno.test("another process of the container is read where one has ended, or has not this file any more", () => {
  for (
    const end of [(proc: FakeProc) => proc.cgroups.delete(7), (proc: FakeProc) => proc.files.delete("7/maps")]
  ) {
    const { proc, next, read } = setUp();
    assert.deepEqual(read(1n)?.value.words, ["7", "one"]);
    proc.put("/a", 70);
    proc.files.set("70/maps", "70 one");
    end(proc);
    next();
    assert.deepEqual(read(1n)?.value.words, ["70", "one"]);
  }
});

Deno.test("a file that could not be read for a while is read again, though it is the same", () => {
  const { proc, next, read } = setUp();
  read(1n);
  proc.denied.add("7/maps");
  for (let cycle = 0; cycle < 2; cycle++) {
    next();
    assert.throws(() => read(1n), { name: "NativeError", code: "EACCES" });
    assert.deepEqual(read(2n)?.value.words, ["8", "one"], "no other is the worse for it");
  }
  proc.denied.clear();
  next();
  assert.deepEqual(read(1n)?.value.words, ["7", "one"]);
});

Deno.test("files of processes that have ended, or whose containers have, are let go of", () => {
  const { proc, next, read } = setUp();
  const all = () => LIVE.forEach(({ id }) => read(id));
  all();
  assert.equal(proc.open, 2 * 2, "the file and the process's cgroup");
  next();
  proc.cgroups.delete(7);
  all();
  assert.equal(proc.open, 2);
  next([]);
  all();
  assert.equal(proc.open, 1, "the file, which nobody has asked about since");
  next(LIVE.slice(1));
  read(2n);
  assert.equal(proc.open, 2);
});
