/** What a system call costs more. */
import { added, type Compared } from "./added.ts";
import { interleave } from "./interleave.ts";
import { KernelNode } from "./kernel_node.ts";
import type { Benchmark, Figure } from "./measure.ts";
import { shared } from "./shared.ts";
import { SYSCOUNT } from "./tracer.ts";

const CALLS = 60_000;

const addedByCall = shared(async (interrupted): Promise<Record<"tracked" | "untracked", Figure>> => {
  await using node = await KernelNode.start({ statistics: false });
  const tracked = await node.inPod("calls", "--call", "read");
  const untracked = await node.inPod("calls", "--call", "getppid");
  const rounds = await interleave({
    conditions: { nothing: node.nothing, agent: node.agent("comprehensive"), tool: node.tool(SYSCOUNT) },
    loads: {
      tracked: node.cpuTime(CALLS, () => tracked.go(CALLS), tracked),
      untracked: node.cpuTime(CALLS, () => untracked.go(CALLS), untracked),
    },
    rounds: 30,
    runs: 5,
  }, interrupted);
  const figure = (load: Compared) => added(load, "a call", node.disturbance);
  return { tracked: figure(rounds.tracked), untracked: figure(rounds.untracked) };
});

export const SYSCALL_BENCHMARKS: readonly Benchmark[] = [
  {
    name: "syscall_added",
    measures: "CPU time added to a tracked system call (read), in a pod",
    reference: "syscount --latency",
    goal: { atMost: 0.55 },
    run: async (interrupted) => (await addedByCall(interrupted)).tracked,
  },
  {
    name: "syscall_untracked",
    measures: "CPU time added to a system call that is not tracked (getppid), in a pod",
    reference: "syscount --latency",
    goal: { atMost: 0.3 },
    run: async (interrupted) => (await addedByCall(interrupted)).untracked,
  },
];
