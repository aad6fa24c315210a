/** Maps that are full, maps that are large, and values that every CPU has a copy of. */
import assert from "node:assert/strict";
import type { SignalName } from "../../src/native/signals.ts";
import { syscallNumber } from "../../src/syscalls.ts";
import { LabNode } from "../lab/node.ts";
import type { LabContainer } from "../lab/pods.ts";
import { contextSwitches, settled } from "../lab/proc.ts";
import { Workload } from "../lab/workload.ts";
import { Libc } from "./libc.ts";
import { needsPrograms } from "./requirements.ts";
import { idOf, Watch } from "./watch.ts";

/** What a load makes a container count in a map. */
interface Load {
  readonly map: string;
  readonly signals: readonly SignalName[];
  readonly syscall?: string;
  readonly counter: string;
  /** Command of the workload; `port` is that of a server which belongs to no pod. */
  readonly args: (port: number) => readonly string[];
  /** Runs the workload for that many units; returns how many events that were, from an independent source. */
  readonly run: (workload: Workload, units: number) => Promise<number>;
}

const LOADS: readonly Load[] = [
  {
    map: "cpu_sched",
    signals: ["cpu_sched"],
    counter: "context_switches",
    args: () => ["switch", "2"],
    async run(workload, units) {
      await settled(workload.pid);
      const before = contextSwitches(workload.pid);
      await workload.go(units);
      await settled(workload.pid);
      const after = contextSwitches(workload.pid);
      return after.voluntary + after.involuntary - before.voluntary - before.involuntary;
    },
  },
  {
    map: "tcp",
    signals: ["tcp_bytes_sent"],
    counter: "bytes_sent",
    args: (port) => ["tcp-client", "127.0.0.1", String(port)],
    async run(workload, units) {
      await workload.go(units);
      return units;
    },
  },
  {
    map: "syscall",
    signals: ["syscall"],
    syscall: "write",
    counter: "count",
    args: () => ["syscalls"],
    async run(workload, units) {
      await workload.go(units);
      return units;
    },
  },
];

const ROOM = 8;
const PRESENT = 20;
const MANY = 300;

/** A node with one pod of many containers; the sandbox has no process that could count. */
async function startContainers(
  count: number,
): Promise<{ node: LabNode; containers: readonly LabContainer[] }> {
  const node = await LabNode.start();
  const names = Array.from({ length: count }, (_, index) => `container-${index}`);
  const pod = await node.addPod({ name: "crowd", sandboxProcess: false, containers: names });
  return { node, containers: pod.containers };
}

function watchLoad(node: LabNode, { signals, syscall }: Load, maxCgroups: number): Watch {
  return new Watch(node, signals, { maxCgroups, syscalls: syscall === undefined ? [] : [syscall] });
}

/** The bytes of a container's key in a load's map. */
function keyOf(container: LabContainer, { syscall }: Load): Uint8Array<ArrayBuffer> {
  const number = syscall === undefined ? [] : [BigInt(syscallNumber(Deno.build.arch, syscall) ?? -1)];
  return new Uint8Array(new BigUint64Array([idOf(container), ...number]).buffer);
}

for (const load of LOADS) {
  Deno.test(
    `when ${load.map} is full, what it refuses is counted, and what it holds stays right`,
    needsPrograms,
    async () => {
      const { node, containers } = await startContainers(PRESENT);
      await using _node = node;
      await using server = await Workload.start(["tcp-server", "127.0.0.1", "0"]);
      const workloads = await Promise.all(
        containers.map((container) => node.run(container, load.args(server.port))),
      );
      await Promise.all(workloads.map(({ pid }) => settled(pid)));
      using watch = watchLoad(node, load, ROOM);
      const total = containers.map(() => 0);
      const run = async (index: number) => {
        const [workload] = workloads.slice(index, index + 1);
        assert.ok(workload);
        total[index] = (total[index] ?? 0) + await load.run(workload, 10 + index);
      };
      const counted = (index: number) =>
        watch.count(load.map, containers[index] ?? assert.fail(), load.counter, load.syscall);
      const errors = () => watch.programs.updateErrors().get(load.map) ?? 0;

      const within = Array.from({ length: ROOM }, (_, index) => index);
      const beyond = Array.from({ length: PRESENT - ROOM }, (_, index) => ROOM + index);
      for (const index of within) await run(index);
      assert.equal(errors(), 0);
      for (const index of [...beyond, ...within]) await run(index);
      assert.deepEqual(within.map(counted), within.map((index) => total[index]));
      assert.deepEqual(beyond.map(counted), beyond.map(() => 0));
      assert.equal(watch.ids(load.map).length, ROOM);
      assert.ok(errors() >= beyond.length, `${errors()} errors`);
      if (load.map === "syscall") {
        assert.equal(
          errors(),
          beyond.reduce((sum, index) => sum + (total[index] ?? 0), 0),
        );
      }
      for (const [map, count] of watch.programs.updateErrors()) {
        if (map !== load.map) assert.equal(count, 0, map);
      }

      // The room of the first becomes the last one's.
      const last = PRESENT - 1;
      const first = containers[0] ?? assert.fail();
      watch.programs.deleteEntry(load.map, keyOf(first, load));
      watch.programs.deleteEntry("cgroups", new Uint8Array(new BigUint64Array([idOf(first)]).buffer));
      const refused = errors();
      total[last] = 0;
      await run(last);
      assert.equal(counted(last), total[last]);
      assert.equal(counted(0), 0);
      assert.equal(errors(), refused);
    },
  );
}

for (const load of LOADS) {
  Deno.test(
    `all of ${MANY} containers in ${load.map} have their own count, over all CPUs`,
    needsPrograms,
    async () => {
      const { node, containers } = await startContainers(MANY);
      await using _node = node;
      await using server = await Workload.start(["tcp-server", "127.0.0.1", "0"]);
      // One process that goes from container to container, and from CPU to CPU.
      const workload = await node.run(containers[0] ?? assert.fail(), load.args(server.port));
      await settled(workload.pid);
      using watch = watchLoad(node, load, 1024);
      using libc = new Libc();
      const expected = new Map<bigint, number>();
      for (const [index, container] of containers.entries()) {
        const { cgroup = "" } = container;
        await Deno.writeTextFile(`${cgroup}/cgroup.procs`, String(workload.pid));
        let events = 0;
        for (let cpu = 0; cpu < Math.min(navigator.hardwareConcurrency, 2); cpu++) {
          for (const thread of Deno.readDirSync(`/proc/${workload.pid}/task`)) {
            assert.ok(libc.moveThread(Number(thread.name), cpu));
          }
          events += await load.run(workload, index % 31 + 1 + cpu);
        }
        expected.set(idOf(container), events);
      }
      const found = new Map(
        watch.programs.readMap(load.map).map(({ key, value }) => [
          BigInt(typeof key === "object" ? (key as { cgroup_id: number }).cgroup_id : key as number),
          Number((value as Record<string, number>)[load.counter]),
        ]),
      );
      assert.equal(found.size, MANY);
      const wrong = [...expected].filter(([id, count]) => found.get(id) !== count)
        .map(([id, count]) => ({ id, count, found: found.get(id) }));
      assert.deepEqual(wrong, []);
      assert.equal(watch.programs.entryCount(load.map), MANY);
      assert.equal(watch.programs.readMap("cgroups").length, MANY);
    },
  );
}
