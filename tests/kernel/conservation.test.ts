/** No context switch is lost and none is counted twice: all containers and the rest make up the whole node. */
import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { BpfObject } from "../../src/native/bpf.ts";
import { numbers } from "../../src/native/records.ts";
import { cgroupId, findCgroup2Mount } from "../lab/cgroups.ts";
import { startDemo } from "../lab/demo.ts";
import { LabNode } from "../lab/node.ts";
import { attachOwn } from "./own_object.ts";
import { needsPrograms } from "./requirements.ts";
import { Watch } from "./watch.ts";

const BUSY_MS = 10_000;
/** A switch that one program has counted and the next not yet, on each CPU. */
const IN_FLIGHT = navigator.hardwareConcurrency;

/** Two numbers that a counter was between. */
interface Range {
  readonly least: number;
  readonly most: number;
}

Deno.test(
  "context switches of all containers and of the rest add up to the node's",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    const failures: Error[] = [];
    const demo = await startDemo(node, (error) => failures.push(error));
    try {
      using object = attachOwn("rest", "count_switches", kubepodsOf(node));
      using watch = new Watch(node, ["cpu_sched"]);
      const before = read(object, watch);
      await pause(BUSY_MS);
      const after = read(object, watch);
      assert.deepEqual(failures, []);

      const counted = after.counted - before.counted;
      const below = difference(before.below, after.below);
      assert.ok(counted >= 5_000, `the containers made only ${counted} switches`);
      assert.ok(
        below.least - IN_FLIGHT <= counted && counted <= below.most + IN_FLIGHT,
        `counted ${counted} switches, but ${below.least} to ${below.most} were below kubepods`,
      );
      const all = difference(before.all, after.all);
      const outside = after.outside - before.outside;
      assert.ok(
        all.least * 0.99 <= counted + outside && counted + outside <= all.most + IN_FLIGHT,
        `counted ${counted} of containers and ${outside} others, of ${all.least} to ${all.most}`,
      );
    } finally {
      await demo.stop();
    }
  },
);

/** Reads every counter, those to compare with before and after. */
function read(object: BpfObject, watch: Watch) {
  const own = () => new Map(object.readMap("switches").map(({ key, value }) => [Number(key), Number(value)]));
  const [allBefore, ownBefore] = [nodeSwitches(), own()];
  const counted = watch.programs.readMap("cpu_sched")
    .reduce((sum, { value }) => sum + Number(numbers(value)["context_switches"]), 0);
  const [ownAfter, allAfter] = [own(), nodeSwitches()];
  return {
    counted,
    outside: ownAfter.get(0) ?? 0,
    below: { least: ownBefore.get(1) ?? 0, most: ownAfter.get(1) ?? 0 },
    all: { least: allBefore, most: allAfter },
  };
}

function difference(before: Range, after: Range): Range {
  return { least: after.least - before.most, most: after.most - before.least };
}

/** Context switches since boot: `ctxt` of proc_stat(5). */
function nodeSwitches(): number {
  return Number(/^ctxt (\d+)/m.exec(Deno.readTextFileSync("/proc/stat"))?.[1]);
}

/** The id and level of the kubepods root: the directory's inode, and how many steps it is below the mount. */
function kubepodsOf(node: LabNode) {
  const [pod] = node.pods;
  assert.ok(pod);
  const [kubepods = ""] = relative(node.root, pod.cgroup).split("/");
  const directory = join(node.root, kubepods);
  return {
    kubepods_id: new BigUint64Array([BigInt(cgroupId(directory))]),
    kubepods_level: new Uint32Array([relative(findCgroup2Mount(), directory).split("/").length]),
  };
}
