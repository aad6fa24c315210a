/** Run-queue latency and context switches against the scheduler's own account of the same threads. */
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { SLOTS } from "../../src/metrics/histogram.ts";
import { type CgroupDriver, cgroupId, type QosClass } from "../lab/cgroups.ts";
import { LabNode } from "../lab/node.ts";
import type { LabPod } from "../lab/pods.ts";
import { schedStat } from "../lab/proc.ts";
import { Workload } from "../lab/workload.ts";
import { Libc } from "./libc.ts";
import { needsPrograms } from "./requirements.ts";
import { type Accounts, SchedAccount } from "./sched_account.ts";
import { idOf, Watch } from "./watch.ts";

/** Where a container's processes are: the pod's class, and a cgroup below the container's own. */
interface Place {
  readonly qosClass: QosClass;
  readonly below?: string;
}

interface Load {
  readonly args: readonly string[];
  readonly pin?: boolean;
  readonly units: number;
  /** What the load is for did happen. */
  readonly check: (delta: Accounts) => void;
}

const DRIVERS: readonly CgroupDriver[] = ["systemd", "cgroupfs"];
const PLACES: readonly Place[] = [
  { qosClass: "Guaranteed" },
  { qosClass: "Burstable" },
  { qosClass: "BestEffort" },
  { qosClass: "Guaranteed", below: "init.scope/x" },
  { qosClass: "Burstable", below: "init.scope/x" },
];
const LOADS: readonly Load[] = [
  {
    args: ["switch", "4"],
    units: 500,
    pin: true,
    check: ({ witness }) => assert.ok(witness.switches >= 500),
  },
  { args: ["switch", "4"], units: 500, check: ({ witness }) => assert.ok(witness.switches >= 50) },
  { args: ["spin", "--threads", "3"], units: 25, pin: true, check: waitsOfMilliseconds },
  { args: ["spin", "--threads", "5"], units: 15, check: ({ witness }) => assert.ok(witness.runs >= 5) },
];

for (const driver of DRIVERS) {
  Deno.test(
    `with ${driver} directories each switch and wait is its container's`,
    needsPrograms,
    async (t) => {
      await using node = await LabNode.start({ driver });
      const pods = new Map<Place, LabPod>();
      for (const [index, place] of PLACES.entries()) {
        const containers = LOADS.map((_, load) => `load-${load}`);
        pods.set(place, await node.addPod({ name: `pod-${index}`, qosClass: place.qosClass, containers }));
      }
      using sched = new SchedAccount(node);
      for (const [{ qosClass, below }, pod] of pods) {
        for (const [load, { args, pin = false, units, check }] of LOADS.entries()) {
          const name = [qosClass, ...below === undefined ? [] : [below], ...args, ...pin ? ["pinned"] : []];
          await t.step(name.join(" "), async () => {
            const container = pod.container(`load-${load}`);
            const options = { pin, ...below === undefined ? {} : { below } };
            await using workload = await node.run(container, args, options);
            const delta = await sched.during(container, [workload.pid], () => workload.go(units));
            agrees(delta);
            check(delta);
          });
        }
      }
    },
  );
}

Deno.test(
  "what a thread waits before and after it is moved to another CPU is one wait",
  { ignore: needsPrograms.ignore || navigator.hardwareConcurrency < 2 },
  async () => {
    await using node = await LabNode.start();
    const container = (await node.addPod({ name: "moved" })).container();
    using sched = new SchedAccount(node);
    using libc = new Libc();
    const workload = await node.run(container, ["spin", "--threads", "6"]);
    const threads = [...Deno.readDirSync(`/proc/${workload.pid}/task`)].map(({ name }) => Number(name));
    // Of the wait before a thread's first run in the container that part is unknown which it spent on another CPU.
    await workload.go(1);
    const moveWhile = async (load: Promise<unknown>) => {
      let done = false, moves = 0;
      const end = load.finally(() => done = true);
      for (let round = 0; !done; round++) {
        threads.forEach((thread, index) => moves += Number(libc.moveThread(thread, (index + round) % 2)));
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      await end;
      return moves;
    };
    agrees(
      await sched.during(container, [workload.pid], async () => {
        for (let moves = 0; moves < 60;) moves += await moveWhile(workload.go(30));
      }),
    );
  },
);

Deno.test("the first wait of a new process counts, and the switch that ends it", needsPrograms, async () => {
  const children = 50;
  await using node = await LabNode.start();
  const container = (await node.addPod({ name: "forks" })).container();
  using sched = new SchedAccount(node);
  const workload = await node.run(container, ["fork"]);
  const pids = [workload.pid];
  const delta = await sched.during(container, pids, async () => {
    const { kept } = await workload.send<{ kept: number[] }>(`keep ${children}`);
    pids.push(...kept);
  });
  agrees(delta);
  assert.ok(delta.witness.runs >= children && delta.witness.switches >= children);
});

Deno.test(
  "of a process older than the programs all counts from its next wait on",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    const container = (await node.addPod({ name: "older" })).container();
    const workload = await node.run(container, ["spin", "--threads", "3"], { pin: true });
    await workload.go(5);
    using sched = new SchedAccount(node);
    const { counted } = await sched.read(container, [workload.pid]);
    assert.deepEqual(counted, { switches: 0, runs: 0, waitedNs: 0 });
    agrees(await sched.during(container, [workload.pid], () => workload.go(20)));
  },
);

Deno.test("what a process waited before it came into a container is not counted", needsPrograms, async () => {
  await using node = await LabNode.start();
  const names = ["one", "two", "three", "four", "five", "six"];
  const pod = await node.addPod({ name: "comers", sandboxProcess: false, containers: names });
  using sched = new SchedAccount(node);
  await using other = await Workload.start(["spin"], { pin: true });
  let runs = 0;
  for (const name of names) {
    await using workload = await Workload.start(["spin"], { pin: true });
    const busy = other.go(60);
    await workload.go(20);
    const before = schedStat(workload.pid).waitedNs;
    const going = workload.go(20);
    await new Promise((resolve) => setTimeout(resolve, 3));
    const container = pod.container(name);
    await Deno.writeTextFile(`${container.cgroup}/cgroup.procs`, String(workload.pid));
    await Promise.all([going, busy]);
    const { counted, witness } = await sched.read(container, [workload.pid]);
    assert.ok(before > 0);
    runs += counted.runs;
    assert.ok(counted.waitedNs <= witness.waitedNs - before, `${counted.waitedNs} ns, ${before} before`);
  }
  assert.ok(runs > 0);
});

Deno.test("processes that are in no container have no entries", needsPrograms, async () => {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "only", qosClass: "Burstable", sandboxProcess: false });
  const [kubepods = "", qos = ""] = pod.cgroup.slice(node.root.length + 1).split("/");
  const twin = pod.container().cgroup?.slice(node.root.length + 1) ?? "";
  using watch = new Watch(node, ["cpu_sched"]);
  for (
    const path of [
      "system.slice",
      "system.slice/kubelet.service",
      // Named just as a container, but below something else than the kubepods root.
      `system.slice/${twin}`,
      `${kubepods}/lost`,
      `${kubepods}/${qos}/lost`,
    ]
  ) {
    const cgroup = join(node.root, path);
    await Deno.mkdir(cgroup, { recursive: true });
    await using workload = await Workload.start(["switch"], { cgroups: [cgroup], pin: true });
    assert.ok((await workload.go(100))["units"] === 100);
    assert.deepEqual([watch.ids("cpu_sched"), watch.ids("cgroups")], [[], []], path);
  }
  await using workload = await node.run(pod.container(), ["switch"], { pin: true });
  await workload.go(100);
  const ids = [idOf(pod.container())];
  assert.deepEqual([watch.ids("cpu_sched"), watch.ids("cgroups")], [ids, ids]);
});

Deno.test("the pause container has an entry of its own", needsPrograms, async () => {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "paused", qosClass: "Guaranteed", containers: ["busy", "idle"] });
  using watch = new Watch(node, ["cpu_sched"]);
  await using workload = await Workload.start(["switch"], { cgroups: [pod.sandboxCgroup], pin: true });
  await workload.go(100);
  const sandbox = BigInt(cgroupId(pod.sandboxCgroup));
  assert.deepEqual(watch.ids("cpu_sched"), [sandbox]);
  await using other = await node.run(pod.container("busy"), ["switch"], { pin: true });
  await other.go(100);
  assert.deepEqual(new Set(watch.ids("cpu_sched")), new Set([sandbox, idOf(pod.container("busy"))]));
  const names = watch.programs.readMap("cgroups").find(({ key }) => BigInt(key as number) === sandbox)?.value;
  assert.deepEqual(names, { pod: basename(pod.cgroup), container: basename(pod.sandboxCgroup) });
});

/** The programs counted what the scheduler did, to the last event and nanosecond, and each wait in its slot. */
function agrees({ counted, witness, slots }: Accounts): void {
  assert.deepEqual(counted, witness);
  // Each wait lies between the bounds of its slot, in ns: powers of two of a second from 2^-20 on.
  const bound = (slot: number) => 1e9 * 2 ** (slot - 20);
  const least = slots.reduce((sum, count, slot) => sum + count * (slot === 0 ? 0 : bound(slot - 1)), 0);
  const most = slots.reduce(
    (sum, count, slot) => sum + (count === 0 ? 0 : slot === SLOTS - 1 ? Infinity : count * bound(slot)),
    0,
  );
  assert.ok(
    least <= counted.waitedNs && counted.waitedNs <= most,
    `${least} to ${most} ns: ${counted.waitedNs}`,
  );
}

function waitsOfMilliseconds({ witness, slots }: Accounts): void {
  assert.ok(witness.waitedNs >= 40e6, `waited ${witness.waitedNs} ns`);
  const long = slots.slice(11).reduce((sum, count) => sum + count, 0);
  assert.ok(long >= 1, `no wait above a millisecond in ${slots}`);
}
