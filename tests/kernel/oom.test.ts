/** OOM kills against the memory cgroup's own count and the kernel log. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { CgroupTree, findMemoryV1Mount, limitMemory } from "../lab/cgroups.ts";
import { LabNode } from "../lab/node.ts";
import type { LabContainer } from "../lab/pods.ts";
import { Workload } from "../lab/workload.ts";
import { needsPrograms } from "./requirements.ts";
import { Watch } from "./watch.ts";

const LIMIT_MIB = 32;
const LIMIT_BYTES = LIMIT_MIB << 20;
/** A pod whose container dies when it uses more. */
const LIMITED = { name: "hungry", containers: [{ name: "main", memoryLimitBytes: LIMIT_BYTES }] };

const kills = (watch: Watch, container: LabContainer) => watch.count("oom", container, "kills");

/** The kills that a memory cgroup counts, in v1 or v2. */
function witnessed(directory: string): number {
  const names = [...Deno.readDirSync(directory)].map((entry) => entry.name);
  const file = names.includes("memory.events") ? "memory.events" : "memory.oom_control";
  return Number(/^oom_kill (\d+)$/m.exec(Deno.readTextFileSync(join(directory, file)))?.[1]);
}

/** Where a limited container's memory is counted. */
function memoryOf({ memoryCgroup, cgroup }: LabContainer): string {
  return memoryCgroup ?? cgroup ?? "";
}

/** How often the kernel log says that it killed a process for memory; `undefined` where it may not be read. */
async function logged(pid: number): Promise<number | undefined> {
  const { success, stdout } = await new Deno.Command("dmesg", { stderr: "null" }).output();
  if (!success) return undefined;
  return new TextDecoder().decode(stdout).split(`Killed process ${pid} `).length - 1;
}

async function assertLogged(pid: number, times: number): Promise<void> {
  const found = await logged(pid);
  if (found !== undefined) assert.equal(found, times, `kernel log of process ${pid}`);
}

/** A memory cgroup beside the lab's for those who share one, or `undefined` where containers have their own. */
function sharedMemoryTree(): CgroupTree | undefined {
  const mount = findMemoryV1Mount();
  return mount && CgroupTree.create(join(mount, `kpod-lab-${Deno.pid}-shared`)) || undefined;
}

Deno.test("each kill of a container's process is one, by every account of it", needsPrograms, async () => {
  await using node = await LabNode.start();
  const hungry = (await node.addPod(LIMITED)).container();
  const other = (await node.addPod({ ...LIMITED, name: "other" })).container();
  using watch = new Watch(node, ["oom"]);
  for (let kill = 1; kill <= 3; kill++) {
    const workload = await node.run(hungry, ["alloc"]);
    await workload.go(1);
    assert.equal(kills(watch, hungry), kill - 1);
    await assert.rejects(workload.go(2 * LIMIT_MIB), /ended by SIGKILL/);
    assert.deepEqual([kills(watch, hungry), witnessed(memoryOf(hungry))], [kill, kill]);
    await assertLogged(workload.pid, 1);
  }
  assert.equal(kills(watch, other), 0);
  await assert.rejects((await node.run(other, ["alloc"])).go(2 * LIMIT_MIB), /ended by SIGKILL/);
  assert.deepEqual([kills(watch, hungry), kills(watch, other)], [3, 1]);
});

Deno.test("a process all of whose threads ask for memory is killed once", needsPrograms, async () => {
  await using node = await LabNode.start();
  const hungry = (await node.addPod(LIMITED)).container();
  using watch = new Watch(node, ["oom"]);
  // The kernel marks it again for each thread that still asks once it is dying: not always, but mostly.
  for (let kill = 1; kill <= 5; kill++) {
    const workload = await node.run(hungry, ["alloc", "--threads", "8"]);
    await assert.rejects(workload.go(LIMIT_MIB), /ended by SIGKILL/);
    assert.deepEqual([kills(watch, hungry), witnessed(memoryOf(hungry))], [kill, kill]);
  }
});

Deno.test("a kill that another pod's process brings about is the victim's", needsPrograms, async () => {
  await using shared = sharedMemoryTree();
  await using node = await LabNode.start();
  const victim = (await node.addPod({ name: "victim" })).container();
  const trigger = (await node.addPod({ name: "trigger" })).container();
  // Both pods below one limit: their QoS class's where the kubelet uses v2.
  const limited = limitMemory(dirname(victim.pod.cgroup), LIMIT_BYTES, shared);
  if (limited !== undefined) victim.memoryCgroup = trigger.memoryCgroup = limited;
  using watch = new Watch(node, ["oom"]);
  const big = await node.run(victim, ["alloc"]);
  const small = await node.run(trigger, ["alloc"]);
  await Deno.writeTextFile(`/proc/${big.pid}/oom_score_adj`, "1000");
  await big.go(LIMIT_MIB - 8);
  const failure = await small.go(16).then(() => undefined, (error: Error) => error.message);
  assert.equal((await big.exited).signal, "SIGKILL");
  // Now and then the kernel needs a second victim, before all that the first one had is free (exit_mmap()).
  const second = failure === undefined ? 0 : 1;
  if (failure !== undefined) assert.match(failure, /ended by SIGKILL/);
  assert.deepEqual([kills(watch, victim), kills(watch, trigger)], [1, second]);
  assert.equal(witnessed(limited ?? dirname(victim.pod.cgroup)), 1 + second);
  await assertLogged(big.pid, 1);
  await assertLogged(small.pid, second);
  if (second === 0) await small.exit();
});

Deno.test("a kill outside the pods is nobody's", needsPrograms, async () => {
  await using shared = sharedMemoryTree();
  await using node = await LabNode.start();
  await node.addPod(LIMITED);
  await using outside = CgroupTree.create(join(dirname(node.root), `kpod-lab-${Deno.pid}-outside`));
  outside.make("system.slice", true);
  const service = outside.make("system.slice/some.service");
  const limited = limitMemory(service, LIMIT_BYTES, shared);
  using watch = new Watch(node, ["oom"]);
  const workload = await Workload.start(["alloc"], {
    cgroups: [service, ...limited === undefined ? [] : [limited]],
  });
  await assert.rejects(workload.go(2 * LIMIT_MIB), /ended by SIGKILL/);
  assert.equal(witnessed(limited ?? service), 1);
  await assertLogged(workload.pid, 1);
  assert.deepEqual(watch.ids("oom"), []);
});

Deno.test("a process that is killed for another reason is no OOM victim", needsPrograms, async () => {
  await using node = await LabNode.start();
  const hungry = (await node.addPod(LIMITED)).container();
  using watch = new Watch(node, ["oom"]);
  const workload = await node.run(hungry, ["alloc"]);
  await workload.go(LIMIT_MIB / 2);
  await workload.kill();
  assert.deepEqual(watch.ids("oom"), []);
});
