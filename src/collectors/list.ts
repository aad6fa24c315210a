/** Every collector there is: to register a new one, add it here and in `src/profiles.ts`. */
import type { Logger } from "../log.ts";
import type { HistogramResolution } from "../metrics/histogram.ts";
import { HostRoot } from "../native/host_files.ts";
import type { SignalName } from "../native/signals.ts";
import { cgroupCollector } from "./cgroup_collector.ts";
import type { Collector } from "./collector.ts";
import { CPU } from "./cpu.ts";
import { CPU_SCHED } from "./cpu_sched.ts";
import { deviceNames } from "./device_names.ts";
import { diskDescription } from "./disk.ts";
import { filesystemCollector } from "./filesystem.ts";
import { interfaceCollector } from "./interface.ts";
import { kernelCollector, type KernelCollectorDescription } from "./kernel_collector.ts";
import { MEMORY } from "./memory.ts";
import { OOM } from "./oom.ts";
import { PAGE_FAULTS } from "./page_faults.ts";
import { PIDS } from "./pids.ts";
import { PRESSURE } from "./pressure.ts";
import { syscallDescription } from "./syscall.ts";
import { TCP } from "./tcp.ts";

export interface CollectorOptions {
  /** Names of the collectors wanted. */
  readonly collectors: readonly string[];
  readonly histogramResolution: HistogramResolution;
  readonly syscalls: readonly { readonly name: string; readonly number: number }[];
  /** Where the host's proc and sysfs are. */
  readonly procRoot: string;
  readonly sysRoot: string;
  readonly log: Logger;
}

/** Opens a root of the host's files; throws an error that names the setting. */
function openRoot(variable: string, path: string): HostRoot {
  try {
    return HostRoot.open(path);
  } catch (error) {
    throw new Error(
      `${error instanceof Error ? error.message : error}; set ${variable} to where the host has it`,
    );
  }
}

/** The collectors wanted, and the kernel signals they need. */
export function createCollectors(
  options: CollectorOptions,
): { collectors: Collector[]; signals: SignalName[] } {
  const { histogramResolution, syscalls, procRoot, sysRoot, log } = options;
  const names = new Map(syscalls.map(({ name, number }) => [number, name]));
  const kernel: readonly KernelCollectorDescription[] = [
    CPU_SCHED,
    TCP,
    OOM,
    PAGE_FAULTS,
    syscallDescription(names),
  ];
  const files: Readonly<Record<string, () => Collector>> = {
    disk: () => cgroupCollector(diskDescription(deviceNames(openRoot("KPOD_SYS_ROOT", sysRoot)))),
    interface: () => interfaceCollector(openRoot("KPOD_PROC_ROOT", procRoot)),
    filesystem: () => filesystemCollector(procRoot, log),
    cpu: () => cgroupCollector(CPU),
    memory: () => cgroupCollector(MEMORY),
    pressure: () => cgroupCollector(PRESSURE),
    pids: () => cgroupCollector(PIDS),
  };
  const wanted = kernel.filter(({ name }) => options.collectors.includes(name));
  return {
    collectors: [
      ...wanted.map((description) => kernelCollector(description, histogramResolution)),
      ...Object.entries(files).flatMap(([name, create]) =>
        options.collectors.includes(name) ? [create()] : []
      ),
    ],
    signals: wanted.flatMap(({ signals }) => signals),
  };
}
