/** What the programs' maps take of the kernel's memory. */
import { heldBy } from "./bpf_statistics.ts";
import { KernelNode } from "./kernel_node.ts";
import { mapsAmong, memoryWith } from "./map_memory.ts";
import type { Benchmark, Figure } from "./measure.ts";
import { shared } from "./shared.ts";

const MANY_CPUS = 64;
const NOTE = "profile comprehensive; without what tasks and sockets hold";

const maps = shared(async () => {
  await using node = await KernelNode.start({ statistics: false });
  await using _programs = await node.agent("comprehensive")();
  return mapsAmong(heldBy(Deno.pid));
});

async function memory(interrupted: AbortSignal): Promise<Figure> {
  const bytes = (await maps(interrupted)).reduce((sum, map) => sum + map.memory, 0);
  return {
    value: bytes / 1e6,
    unit: "MB",
    reference: null,
    note: `${NOTE}; ${possibleCpus()} possible CPUs`,
  };
}

async function memoryWithMany(interrupted: AbortSignal): Promise<Figure> {
  const bytes = memoryWith(MANY_CPUS, await maps(interrupted), possibleCpus());
  return { value: bytes / 1e6, unit: "MB", reference: null, note: `${NOTE}; computed` };
}

/** How many CPUs the kernel makes per-CPU values for: `0-3` or `0,2-3` in cpu(4)'s sysfs. */
function possibleCpus(): number {
  const ranges = Deno.readTextFileSync("/sys/devices/system/cpu/possible").trim().split(",");
  return ranges.reduce((sum, range) => {
    const [first = NaN, last = first] = range.split("-").map(Number);
    return sum + last - first + 1;
  }, 0);
}

export const MEMORY_BENCHMARKS: readonly Benchmark[] = [
  {
    name: "kernel_mem",
    measures: "memory of all eBPF maps, as the kernel states it",
    reference: null,
    goal: { atMost: 8 },
    run: memory,
  },
  {
    name: "kernel_mem_64",
    measures: `the same with ${MANY_CPUS} CPUs`,
    reference: null,
    goal: { atMost: 64 },
    run: memoryWithMany,
  },
];
