/** What a collector is. */
import type { TargetIndex } from "../cgroup/targets.ts";
import type { Family } from "../metrics/family.ts";
import type { Programs } from "../native/programs.ts";

/** What a collector works with in one cycle. */
export interface Cycle {
  readonly targets: TargetIndex;
  /** The eBPF programs; `undefined` while they are switched off or there is nothing to watch yet. */
  readonly programs: Pick<Programs, "delivers" | "readMap" | "deleteEntry"> | undefined;
}

/** One subsystem's metrics. Anything it throws is its own failure only, and its families are missing from that cycle. */
export interface Collector {
  readonly name: string;
  collect(cycle: Cycle): readonly Family[];
  /** Whether it has counts of a cgroup in the kernel. */
  holds?(id: bigint): boolean;
}
