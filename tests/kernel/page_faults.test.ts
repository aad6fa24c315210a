/** Major page faults against the processes' own counts in `/proc`. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { LabNode } from "../lab/node.ts";
import { majorFaults } from "../lab/proc.ts";
import { Libc } from "./libc.ts";
import { needsPrograms } from "./requirements.ts";
import { Watch } from "./watch.ts";

const PAGES = 64;

for (
  const [title, below] of [
    ["a container's process", undefined],
    ["a process in a cgroup below the container's", "init.scope/inner"],
  ] as const
) {
  Deno.test(`the faults of ${title} that need the disk are counted exactly`, needsPrograms, async () => {
    await using node = await LabNode.start();
    const container = (await node.addPod({ name: "reader" })).container();
    const other = (await node.addPod({ name: "other" })).container();
    const workload = await node.run(
      container,
      ["fault", join(node.directory, "cold")],
      below === undefined ? {} : { below },
    );
    using watch = new Watch(node, ["page_faults"]);
    const before = majorFaults(workload.pid);
    for (let round = 1; round <= 3; round++) {
      await workload.go(PAGES);
      assert.ok(majorFaults(workload.pid) - before >= round * PAGES);
      assert.equal(watch.count("page_faults", container, "major"), majorFaults(workload.pid) - before);
    }
    assert.equal(watch.count("page_faults", other, "major"), 0);
  });
}

Deno.test("faults that need no disk are not counted", needsPrograms, async () => {
  await using node = await LabNode.start();
  const container = (await node.addPod({ name: "writer" })).container();
  const workload = await node.run(container, ["alloc"]);
  using watch = new Watch(node, ["page_faults"]);
  const [minor, major] = [minorFaults(workload.pid), majorFaults(workload.pid)];
  await workload.go(8);
  assert.ok(minorFaults(workload.pid) - minor >= 4, "huge pages make at least one fault each");
  assert.equal(majorFaults(workload.pid), major);
  assert.deepEqual(watch.ids("page_faults"), []);
});

Deno.test("faults are counted whichever CPU they happen on", needsPrograms, async () => {
  await using node = await LabNode.start();
  const container = (await node.addPod({ name: "mover" })).container();
  const workload = await node.run(container, ["fault", join(node.directory, "cold")]);
  await workload.go(PAGES);
  using watch = new Watch(node, ["page_faults"]);
  using libc = new Libc();
  const before = majorFaults(workload.pid);
  for (const cpu of cpus(workload.pid)) {
    assert.ok(libc.moveThread(workload.pid, cpu), `CPU ${cpu}`);
    assert.deepEqual(await workload.go(PAGES), { pages: PAGES, major_faults: PAGES });
    assert.equal(lastCpu(workload.pid), cpu);
    assert.equal(watch.count("page_faults", container, "major"), majorFaults(workload.pid) - before);
  }
});

Deno.test("two containers that fault at once have their own counts", needsPrograms, async () => {
  await using node = await LabNode.start();
  using watch = await watchWithPods(node);
  const runs = await Promise.all(node.pods.map(async (pod, index) => {
    const workload = await node.run(pod.container(), ["fault", join(node.directory, `cold-${index}`)]);
    const [faults, counted] = [
      majorFaults(workload.pid),
      watch.count("page_faults", pod.container(), "major"),
    ];
    return { pod, workload, faults, counted };
  }));
  await Promise.all(runs.map(({ workload }, index) => workload.go(PAGES * (index + 1))));
  for (const { pod, workload, faults, counted } of runs) {
    const own = majorFaults(workload.pid) - faults;
    assert.ok(own >= PAGES);
    assert.equal(watch.count("page_faults", pod.container(), "major") - counted, own, pod.spec.name);
  }
});

async function watchWithPods(node: LabNode): Promise<Watch> {
  for (const name of ["one", "two"]) await node.addPod({ name });
  return new Watch(node, ["page_faults"]);
}

function statField(pid: number, index: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[index]);
}

/** Fields 10 and 39 of `/proc/PID/stat` (proc_pid_stat(5)); the state, field 3, is the first here. */
const minorFaults = (pid: number) => statField(pid, 7);
const lastCpu = (pid: number) => statField(pid, 36);

/** The CPUs a process may run on, of the first 64. */
function cpus(pid: number): number[] {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(status)?.[1] ?? "";
  return list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  }).filter((cpu) => cpu < 64);
}
