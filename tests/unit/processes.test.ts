/** Which process of a container is looked at, and how seldom all processes of the node are. */
import assert from "node:assert/strict";
import { ownCgroup, type Process, Processes } from "../../src/collectors/processes.ts";
import { NativeError } from "../../src/native/error.ts";
import { FakeProc, liveCgroup, processCycle } from "./fake_proc.ts";

const A = "cri-containerd-aa.scope";
const B = "cri-containerd-bb.scope";
const SLICE = "kubepods.slice/kubepods-podu.slice";
const LIVE = [liveCgroup(1n, `${SLICE}/${A}`), liveCgroup(2n, `${SLICE}/${B}`)];

const MINUTE_MS = 60_000;

/** Two containers; process 7 is in the first, 8 in the second. */
function setUp({ own }: { own?: bigint } = {}) {
  const proc = new FakeProc();
  const time = { now: 0 };
  proc.put(`/${SLICE}/${A}`, 7);
  proc.put(`/${SLICE}/${B}`, 8);
  return { proc, time, processes: new Processes(proc, own, () => time.now) };
}

/** The process that is looked at. */
const pid = (process: Process) => process.pid;

/** Reads of a process as of one that has ended, or is otherwise refused. */
function refusing(refused: readonly number[], errno = 2) {
  return ({ pid }: Process) => {
    if (refused.includes(pid)) throw new NativeError(`read ${pid}`, errno);
    return pid;
  };
}

const PATHS: readonly [what: string, cgroup: string, id: bigint, own?: bigint][] = [
  ["as the root cgroup namespace shows it", `/${SLICE}/${A}`, 1n],
  [
    "below a cgroup of the machine's that is more than the mount shows",
    `/machine.slice/node/${SLICE}/${A}`,
    1n,
  ],
  ["as a pod's cgroup namespace shows another pod", `/../../kubepods-podu.slice/${A}`, 1n],
  ["as a pod's cgroup namespace shows the same pod", `/../${A}`, 1n],
  ["in a cgroup below the container's", `/${SLICE}/${A}/init.scope`, 1n],
  ["deep below the container's", `/../${A}/system.slice/docker.service/x`, 1n],
  ["in a cgroup that was given another container's name inside", `/${SLICE}/${A}/${B}`, 1n],
  ["in the agent's own container", "/", 1n, 1n],
  ["below the agent's own container", "/init.scope", 1n, 1n],
];

for (const [what, cgroup, id, own] of PATHS) {
  Deno.test(`a container's process is found ${what}`, () => {
    const { proc, processes } = setUp(own === undefined ? {} : { own });
    proc.cgroups.clear();
    proc.put(cgroup, 9);
    proc.put(`/${SLICE}/${B}`, 10);
    assert.equal(processes.look(processCycle(LIVE), id, pid), 9);
    assert.equal(processes.look(processCycle(LIVE), 2n, pid), 10);
  });
}

const ELSEWHERE: readonly [what: string, cgroup: string, own?: bigint][] = [
  ["the machine's", "/system.slice/ssh.service"],
  ["of the root cgroup", "/"],
  ["of a pod, and no container's", `/${SLICE}`],
  ["of another cgroup than the agent's own", "/../../..", 1n],
  ["of a container's cgroup that is removed", `/${SLICE}/${A} (deleted)`],
  ["of a name that only begins like a container's", `/${SLICE}/${A}.more`],
];

for (const [what, cgroup, own] of ELSEWHERE) {
  Deno.test(`a process is no container's: ${what}`, () => {
    const { proc, processes } = setUp(own === undefined ? {} : { own });
    proc.cgroups.delete(7);
    proc.put(cgroup, 9);
    assert.equal(processes.look(processCycle(LIVE), 1n, pid), undefined);
  });
}

Deno.test("all processes are looked at once, however many cycles and containers there are", () => {
  const { proc, processes } = setUp();
  for (let count = 0; count < 3; count++) {
    const cycle = processCycle(LIVE);
    for (let collector = 0; collector < 2; collector++) {
      assert.deepEqual([1n, 2n].map((id) => processes.look(cycle, id, pid)), [7, 8]);
    }
  }
  assert.equal(proc.walks, 1);
});

Deno.test("a container that nobody asks for is not searched for", () => {
  const { proc, processes } = setUp();
  processes.look(processCycle(LIVE), 1n, pid);
  proc.cgroups.delete(8);
  processes.look(processCycle(LIVE), 1n, pid);
  assert.equal(proc.walks, 1);
});

Deno.test("a container without a process is none to search for, and one that gets some is", () => {
  const { proc, processes } = setUp();
  proc.cgroups.delete(8);
  const empty = () => processCycle(LIVE, [2n]);
  for (let count = 0; count < 3; count++) assert.equal(processes.look(empty(), 2n, pid), undefined);
  assert.equal(proc.walks, 0);
  proc.put(`/${SLICE}/${B}`, 9);
  assert.equal(processes.look(processCycle(LIVE), 2n, pid), 9);
  assert.equal(proc.walks, 1);
});

Deno.test("a process that cannot be found is searched for once a cycle, whoever asks", () => {
  const { proc, processes } = setUp();
  proc.cgroups.delete(8);
  const cycle = processCycle(LIVE);
  for (let collector = 0; collector < 2; collector++) assert.equal(processes.look(cycle, 2n, pid), undefined);
  assert.equal(proc.walks, 1);
  assert.equal(processes.look(processCycle(LIVE), 2n, pid), undefined);
  assert.equal(proc.walks, 2);
});

const CHANGES: readonly [what: string, change: (proc: FakeProc) => void][] = [
  ["it is in another container by now", (proc) => proc.put(`/${SLICE}/${B}`, 7)],
  ["it is one of the machine's by now", (proc) => proc.put("/system.slice", 7)],
  ["it has ended, and nobody has read anything of it", (proc) => proc.cgroups.delete(7)],
];

for (const [what, change] of CHANGES) {
  Deno.test(`a container's process is looked for anew, within a minute, when ${what}`, () => {
    const { proc, processes, time } = setUp();
    for (let cycle = 0; cycle < 3; cycle++) assert.equal(processes.look(processCycle(LIVE), 1n, pid), 7);
    change(proc);
    proc.put(`/${SLICE}/${A}`, 70);
    time.now += MINUTE_MS;
    assert.equal(processes.look(processCycle(LIVE), 1n, pid), 70);
    assert.equal(proc.walks, 2);
  });
}

Deno.test("a process that has just been found is looked at in the next cycle, and then no more than once in half a minute", () => {
  const { proc, processes, time } = setUp();
  const read = () => {
    const before = proc.read.length;
    processes.look(processCycle(LIVE), 1n, pid);
    return proc.read.slice(before);
  };
  assert.deepEqual([read(), read()], [["7/cgroup"], ["7/cgroup"]]);
  for (let cycle = 0; cycle < 3; cycle++) {
    time.now += 29_000;
    const reads = [...read(), ...read()];
    assert.ok(reads.length <= 1);
  }
  time.now += MINUTE_MS;
  assert.deepEqual(read(), ["7/cgroup"]);
});

Deno.test("a process that goes to a cgroup below its container's is kept", () => {
  const { proc, processes } = setUp();
  processes.look(processCycle(LIVE), 1n, pid);
  proc.put(`/${SLICE}/${A}/init.scope`, 7);
  assert.equal(processes.look(processCycle(LIVE), 1n, pid), 7);
  assert.equal(proc.walks, 1);
});

Deno.test("a process is the same one to those who look until it has left its container", () => {
  const { proc, processes, time } = setUp();
  const process = (id: bigint) => {
    time.now += MINUTE_MS;
    return processes.look(processCycle(LIVE), id, (process) => process);
  };
  const first = process(1n);
  assert.equal(process(1n), first);
  proc.put("/system.slice", 7);
  proc.put(`/${SLICE}/${A}`, 70);
  const second = process(1n);
  assert.notEqual(second, first);
  proc.put("/system.slice", 70);
  proc.put(`/${SLICE}/${A}`, 7);
  assert.notEqual(process(1n), first, "it may be another one under the same number");
});

Deno.test("no more files are open than processes are known", () => {
  const { proc, processes } = setUp();
  proc.put(`/${SLICE}/${A}`, 70, 71, 72);
  for (const pids of [[], [7], [7, 70, 71]]) {
    for (const id of [1n, 2n]) processes.look(processCycle(LIVE), id, refusing(pids));
    assert.equal(proc.open, 2);
  }
  processes.look(processCycle(LIVE.slice(1)), 2n, pid);
  assert.equal(proc.open, 1);
});

Deno.test("where processes end between two steps the next one is looked at", () => {
  const { proc, processes } = setUp();
  proc.put(`/${SLICE}/${A}`, 70, 71, 72, 73, 74);
  assert.equal(processes.look(processCycle(LIVE), 1n, refusing([7, 70, 71, 72, 73])), 74);
  const cycle = processCycle(LIVE);
  assert.equal(processes.look(cycle, 1n, pid), 74, "it is kept");
  assert.equal(processes.look(cycle, 1n, refusing([74])), 7, "it ends after it was found in its cgroup");
  assert.equal(proc.walks, 2);
});

for (const [name, errno] of [["ENOENT", 2], ["ESRCH", 3], ["ENXIO", 6], ["EINVAL", 22]] as const) {
  Deno.test(`a process that is read as ${name} has ended`, () => {
    const { processes } = setUp();
    assert.equal(processes.look(processCycle(LIVE), 1n, refusing([7], errno)), undefined);
  });
}

Deno.test("a process that may not be looked at is an error, and nobody searches for another", () => {
  const { proc, processes } = setUp();
  for (let count = 0; count < 3; count++) {
    const look = () => processes.look(processCycle(LIVE), 1n, refusing([7], 13));
    assert.throws(look, { name: "NativeError", code: "EACCES" });
  }
  assert.equal(proc.walks, 1);
});

Deno.test("a container that is gone is forgotten, with its process", () => {
  const { proc, processes } = setUp();
  processes.look(processCycle(LIVE), 1n, pid);
  const [, second] = LIVE;
  assert.ok(second);
  const cycle = processCycle([second]);
  assert.equal(processes.look(cycle, 2n, pid), 8);
  assert.equal(processes.look(cycle, 1n, pid), undefined);
  assert.equal(proc.walks, 2);
});

Deno.test("a procfs that shows no container's process is an error that says what to do, to each that asks", () => {
  const { proc, processes } = setUp({ own: 1n });
  proc.cgroups.clear();
  // The agent's own, which its own procfs shows as well.
  proc.put("/", 1);
  const cycle = processCycle(LIVE);
  for (let collector = 0; collector < 2; collector++) {
    assert.throws(
      () => processes.look(cycle, 2n, pid),
      /^Error: Cannot look into containers: \/host\/proc shows no process of theirs; mount .* KPOD_PROC_ROOT /,
    );
  }
  assert.equal(processes.look(processCycle(LIVE, [2n]), 1n, pid), 1, "no other container has one to show");
});

Deno.test("the agent's own cgroup is the one at the top of its own mount", () => {
  const proc = new FakeProc();
  assert.equal(ownCgroup(proc), undefined);
  proc.directories.set("fs/cgroup", 17n);
  assert.equal(ownCgroup(proc), 17n);
});
