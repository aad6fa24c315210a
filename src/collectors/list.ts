/** Every collector there is: to register a new one, add it here. */
import type { HistogramResolution } from "../metrics/histogram.ts";
import type { SignalName } from "../native/signals.ts";
import type { Collector } from "./collector.ts";
import { CPU_SCHED } from "./cpu_sched.ts";
import { kernelCollector, type KernelCollectorDescription } from "./kernel_collector.ts";
import { OOM } from "./oom.ts";
import { PAGE_FAULTS } from "./page_faults.ts";
import { syscallDescription } from "./syscall.ts";
import { TCP } from "./tcp.ts";

export interface CollectorOptions {
  /** Names of the collectors wanted. */
  readonly collectors: readonly string[];
  readonly histogramResolution: HistogramResolution;
  readonly syscalls: readonly { readonly name: string; readonly number: number }[];
}

/** The collectors wanted, and the kernel signals they need. */
export function createCollectors(
  options: CollectorOptions,
): { collectors: Collector[]; signals: SignalName[] } {
  const names = new Map(options.syscalls.map(({ name, number }) => [number, name]));
  const kernel: readonly KernelCollectorDescription[] = [
    CPU_SCHED,
    TCP,
    OOM,
    PAGE_FAULTS,
    syscallDescription(names),
  ];
  const wanted = kernel.filter(({ name }) => options.collectors.includes(name));
  return {
    collectors: wanted.map((description) => kernelCollector(description, options.histogramResolution)),
    signals: wanted.flatMap(({ signals }) => signals),
  };
}
