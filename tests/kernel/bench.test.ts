/** What the kernel-side benchmarks read and change of the machine. */
import assert from "node:assert/strict";
import { BpfStatistics, programTime } from "../bench/bpf_statistics.ts";
import { SCHED_BENCHMARKS } from "../bench/kernel_sched.ts";
import { ProcessClock } from "../bench/process_clock.ts";
import { countTracingPrograms } from "../bench/tracing_programs.ts";
import { findCgroup2Mount } from "../lab/cgroups.ts";
import { LabNode } from "../lab/node.ts";
import { heldIds, kernelIds } from "./kernel_ids.ts";
import { needsLab, needsPrograms } from "./requirements.ts";
import { until } from "./until.ts";
import { Watch } from "./watch.ts";

const SWITCH = "/proc/sys/kernel/bpf_stats_enabled";

Deno.test("the clock of a process that sleeps stands at its schedstat", needsLab, async () => {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "pod", containers: ["load"] });
  const spin = await node.run(pod.container("load"), ["spin"]);
  await spin.go(20);
  await until("it sleeps", () => Deno.readTextFileSync(`/proc/${spin.pid}/stat`).includes(") S "));
  using clock = new ProcessClock();
  const [ran] = Deno.readTextFileSync(`/proc/${spin.pid}/schedstat`).split(" ");
  assert.equal(clock.read(spin.pid), Number(ran));
  assert.equal(clock.read(spin.pid, spin.pid), 2 * Number(ran));
});

for (const [call, other] of [["read", "getppid"], ["getppid", "read"]] as const) {
  Deno.test(`the load of ${call} is so many of these calls and nothing else`, needsPrograms, async () => {
    await using node = await LabNode.start();
    const container = (await node.addPod({ name: "pod", containers: ["load"] })).container("load");
    const calls = await node.run(container, ["calls", "--call", call]);
    using watch = new Watch(node, ["syscall"], { syscalls: [call, other] });
    await calls.go(1000);
    assert.equal(watch.count("syscall", container, "count", call), 1000);
    assert.equal(watch.count("syscall", container, "errors", call), 0);
    assert.equal(watch.count("syscall", container, "count", other), 0);
  });
}

Deno.test("the time in a process's programs is what the kernel states of each", needsPrograms, async () => {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "pod", containers: ["load"] });
  const pipe = await node.run(pod.container("load"), ["switch", "2"], { pin: true });
  using _off = new BpfStatistics(false);
  using watch = new Watch(node, ["cpu_sched", "oom"]);
  const before = programTime(Deno.pid);
  {
    using _on = new BpfStatistics(true);
    await pipe.go(1000);
  }
  const stated = watch.programs.programs().reduce((sum, { runTimeSeconds }) => sum + runTimeSeconds, 0);
  assert.equal(programTime(Deno.pid), Math.round(stated * 1e9));
  assert.ok(programTime(Deno.pid) > before);
});

Deno.test("run times are kept while statistics are on, and no longer", needsPrograms, async () => {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "pod", containers: ["load"] });
  const pipe = await node.run(pod.container("load"), ["switch", "2"], { pin: true });
  using _off = new BpfStatistics(false);
  using _watch = new Watch(node, ["cpu_sched"]);
  const during = async () => {
    const before = programTime(Deno.pid);
    await pipe.go(1000);
    return programTime(Deno.pid) - before;
  };
  assert.equal(await during(), 0);
  {
    using _on = new BpfStatistics(true);
    assert.ok(await during() > 0);
  }
  assert.equal(await during(), 0);
});

Deno.test("statistics that were found on are off for a while, and on again", needsLab, () => {
  using _off = new BpfStatistics(false);
  Deno.writeTextFileSync(SWITCH, "1");
  {
    using statistics = new BpfStatistics(false);
    assert.equal(Deno.readTextFileSync(SWITCH), "0\n");
    statistics.check();
    Deno.writeTextFileSync(SWITCH, "1");
    assert.throws(() => statistics.check(), /kernel\.bpf_stats_enabled has been switched on meanwhile/);
    Deno.writeTextFileSync(SWITCH, "0");
  }
  assert.equal(Deno.readTextFileSync(SWITCH), "1\n");
  Deno.writeTextFileSync(SWITCH, "0");
});

Deno.test("an interrupted benchmark leaves the machine as it was", needsPrograms, async () => {
  const interruption = new AbortController();
  const [benchmark] = SCHED_BENCHMARKS;
  const running = assert.rejects(benchmark?.run(interruption.signal) ?? Promise.resolve(), /enough/);
  await until("its programs run", () => programTime(Deno.pid) > 0);
  assert.equal(labs().length, 1);
  interruption.abort(new Error("enough"));
  await running;
  assert.deepEqual(labs(), []);
  assert.equal(programTime(Deno.pid), 0);
});

Deno.test("programs for tracing are counted, and none that has gone", needsPrograms, async () => {
  await using node = await LabNode.start();
  await node.addPod({ name: "pod" });
  let ids: ReadonlySet<number>;
  {
    using watch = new Watch(node, ["cpu_sched", "tcp_rtt", "page_faults"]);
    ids = heldIds().programs;
    // More than the three where further ones clean up what tasks cannot hold themselves.
    const { length } = watch.programs.programs();
    assert.ok(length >= 3);
    assert.equal(countTracingPrograms(ids), length);
  }
  await until("they have gone", () => ids.isDisjointFrom(kernelIds().programs));
  assert.equal(countTracingPrograms(ids), 0);
});

/** The cgroups of this process's labs. */
function labs(): string[] {
  const mine = `kpod-lab-${Deno.pid}-`;
  return [...Deno.readDirSync(findCgroup2Mount())].map(({ name }) => name).filter((name) =>
    name.startsWith(mine)
  );
}
