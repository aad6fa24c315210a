/** What a collector is. */
import type { CgroupFiles } from "../cgroup/files.ts";
import type { TargetIndex } from "../cgroup/targets.ts";
import type { Family } from "../metrics/family.ts";
import type { Programs } from "../native/programs.ts";

/** What collectors work with in one cycle: the same object for all of them, and another one in the next. */
export interface Cycle {
  readonly targets: TargetIndex;
  /** The files that the collectors asked for, and any other on demand. */
  readonly files: Pick<CgroupFiles, "text" | "textNow">;
  /** The eBPF programs; `undefined` while they are switched off or there is nothing to watch yet. */
  readonly programs: Pick<Programs, "delivers" | "readMap" | "deleteEntry"> | undefined;
}

/** One subsystem's metrics. Anything it throws is its own failure only, and its families are missing from that cycle. */
export interface Collector {
  readonly name: string;
  /** The files it reads of the cgroups of containers that have series. */
  readonly files?: readonly string[];
  /** Whether most of its time is waiting. @default false */
  readonly waits?: boolean;
  collect(cycle: Cycle): readonly Family[] | Promise<readonly Family[]>;
  /** Whether it has counts of a cgroup in the kernel. */
  holds?(id: bigint): boolean;
}
