/** What a context switch costs more. */
import { added, type Compared } from "./added.ts";
import { programTime } from "./bpf_statistics.ts";
import { interleave } from "./interleave.ts";
import { KernelNode } from "./kernel_node.ts";
import { type Benchmark, type Figure, summary } from "./measure.ts";
import { shared } from "./shared.ts";
import { RUNQLAT } from "./tracer.ts";

/** Two threads on one CPU that pass a byte to and fro, as `perf bench sched pipe --threaded` does. */
const PIPE = ["switch", "2"] as const;
const PASSES = 8_000;
/** What runs at a context switch is the same in all profiles; this one is attached the quickest. */
const PROFILE = "minimal";

const ROUNDS_OF_STATISTICS = 20;

const addedBySwitch = shared(async (interrupted): Promise<Record<"pod" | "outside", Figure>> => {
  await using node = await KernelNode.start({ statistics: false });
  const [inside, outside] = [await node.inPod(...PIPE), await node.outside(...PIPE)];
  const rounds = await interleave({
    conditions: { nothing: node.nothing, agent: node.agent(PROFILE), tool: node.tool(RUNQLAT) },
    loads: {
      pod: node.cpuTime(PASSES, () => inside.go(PASSES), inside),
      outside: node.cpuTime(PASSES, () => outside.go(PASSES), outside),
    },
    // A pipe's pace changes within seconds, by more than what is looked for: so turns are short and many.
    rounds: 100,
    runs: 5,
  }, interrupted);
  const figure = (load: Compared) => added(load, "a switch", node.disturbance);
  return { pod: figure(rounds.pod), outside: figure(rounds.outside) };
});

/** By the kernel's statistics, which count neither the way into a program nor what its memory accesses cost later. */
async function timeInPrograms(interrupted: AbortSignal): Promise<Figure> {
  await using node = await KernelNode.start({ statistics: true });
  const pipe = await node.inPod(...PIPE);
  const { time } = await interleave({
    conditions: { agent: node.agent(PROFILE), tool: node.tool(RUNQLAT) },
    loads: {
      time: async ({ pid = 0 }) => {
        const before = programTime(pid);
        const { voluntary = 0, involuntary = 0 } = await pipe.go(PASSES);
        return (programTime(pid) - before) / (voluntary + involuntary);
      },
    },
    rounds: ROUNDS_OF_STATISTICS,
    runs: 5,
  }, interrupted);
  return {
    ...summary(time.agent),
    unit: "ns",
    reference: summary(time.tool).value,
    note: `${ROUNDS_OF_STATISTICS} rounds`,
  };
}

export const SCHED_BENCHMARKS: readonly Benchmark[] = [
  {
    name: "sched_ns",
    measures: "time in eBPF programs for a context switch and its wakeup, in a pod",
    reference: "runqlat",
    goal: { atMost: 0.4 },
    run: timeInPrograms,
  },
  {
    name: "sched_added",
    measures: "CPU time added to a context switch by a pipe, in a pod",
    reference: "runqlat",
    goal: { atMost: 0.25 },
    run: async (interrupted) => (await addedBySwitch(interrupted)).pod,
  },
  {
    name: "sched_host",
    measures: "CPU time added to a context switch by a pipe, outside of kubepods",
    reference: "runqlat",
    goal: { atMost: 0.12 },
    run: async (interrupted) => (await addedBySwitch(interrupted)).outside,
  },
];
