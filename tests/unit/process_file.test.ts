/** One file of many processes: when it is read, taken apart and let go of. */
import assert from "node:assert/strict";
import { ProcessFile } from "../../src/collectors/process_file.ts";
import { type Process, Processes } from "../../src/collectors/processes.ts";
import { FakeProc, liveCgroup, processCycle } from "./fake_proc.ts";

const LIVE = [liveCgroup(1n, "a"), liveCgroup(2n, "b")];

const MINUTE_MS = 60_000;

/** Processes 7 and 8 in two containers, and the file `maps` of each. */
function setUp(isSettled?: (process: Process, value: { words: string[] }) => boolean) {
  const proc = new FakeProc();
  proc.put("/a", 7);
  proc.put("/b", 8);
  for (const pid of [7, 8]) proc.files.set(`${pid}/maps`, `${pid} one`);
  const time = { now: 0 };
  const clock = () => time.now;
  const processes = new Processes(proc, undefined, clock);
  let parsed = 0;
  const parse = (text: string) => {
    parsed++;
    return { words: text.split(" ") };
  };
  const file = new ProcessFile(proc, processes, "maps", parse, { clock, ...isSettled && { isSettled } });
  let cycle = processCycle(LIVE);
  return {
    proc,
    time,
    file,
    processes,
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

/** How often `maps` of a process was read since this was last asked. */
function readings(proc: FakeProc, pid = 7): number {
  const count = proc.read.filter((path) => path === `${pid}/maps`).length;
  proc.read.length = 0;
  return count;
}

Deno.test("a file that is settled is read once more, and then once between half a minute and a minute", () => {
  const { proc, time, next, read } = setUp(({ pid }) => pid === 7);
  for (let cycle = 0; cycle < 2; cycle++) {
    for (const id of [1n, 2n]) read(id);
    next();
  }
  assert.equal(readings(proc), 2);
  for (let second = 0; second < 29; second++) {
    time.now += 1000;
    for (const id of [1n, 2n]) read(id);
    next();
  }
  assert.deepEqual([proc.read.filter((path) => path === "8/maps").length, readings(proc)], [29, 0]);
  for (let second = 0; second < 31; second++) {
    time.now += 1000;
    read(1n);
    next();
  }
  assert.equal(readings(proc), 1);
});

Deno.test("a file that changed when it was last read is not settled, and one that cannot be read neither", () => {
  const changes = [
    (proc: FakeProc) => proc.files.set("7/maps", "7 two"),
    (proc: FakeProc) => proc.denied.add("7/maps"),
  ];
  for (const change of changes) {
    const { proc, time, next, read } = setUp(() => true);
    const cycle = () => {
      next();
      try {
        read(1n);
      } catch {
        // It may not be read.
      }
      return readings(proc);
    };
    assert.deepEqual([cycle(), cycle(), cycle()], [1, 1, 0]);
    change(proc);
    time.now += MINUTE_MS;
    assert.equal(cycle(), 1);
    proc.denied.clear();
    assert.deepEqual(
      [cycle(), cycle(), cycle()].slice(1),
      proc.files.get("7/maps") === "7 two" ? [0, 0] : [1, 0],
    );
  }
});

Deno.test("what is settled is asked about when a file is read, not when it is kept", () => {
  let asked = 0;
  const { next, read } = setUp(() => ++asked > 3);
  const kept: number[] = [];
  for (let cycle = 0; cycle < 8; cycle++) {
    next();
    read(1n);
    kept.push(asked);
  }
  assert.deepEqual(kept, [1, 2, 3, 4, 4, 4, 4, 4]);
});

Deno.test("a settled file is read at once on request, but never twice in a cycle", () => {
  const { proc, next, read, file, processes } = setUp(() => true);
  const process = () => [...processes.known][0];
  for (let cycle = 0; cycle < 3; cycle++) {
    next();
    read(1n);
  }
  readings(proc);
  const known = process();
  assert.ok(known);
  proc.files.set("7/maps", "7 two");
  assert.deepEqual(read(1n)?.value.words, ["7", "one"]);
  assert.deepEqual([file.reread(known), file.reread(known), readings(proc)], [true, false, 1]);
  assert.deepEqual(read(1n)?.value.words, ["7", "two"]);
  next();
  read(1n);
  assert.equal(file.reread(known), false, "this cycle has read it, as it had changed");
  assert.equal(file.reread({ pid: 99 }), false, "nobody has asked about that one");
});
