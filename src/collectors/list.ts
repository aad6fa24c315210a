/** Every collector there is: to register a new one, add it here and in `src/profiles.ts`. */
import type { Logger } from "../log.ts";
import type { Descriptor } from "../metrics/descriptor.ts";
import type { HistogramResolution } from "../metrics/histogram.ts";
import { HostRoot } from "../native/host_files.ts";
import type { SignalName } from "../native/signals.ts";
import { cgroupCollector, type CgroupCollectorDescription, cgroupDescriptors } from "./cgroup_collector.ts";
import type { Collector } from "./collector.ts";
import { CPU } from "./cpu.ts";
import { CPU_SCHED } from "./cpu_sched.ts";
import { deviceNames } from "./device_names.ts";
import { DISK } from "./disk.ts";
import { FILESYSTEM, filesystemCollector } from "./filesystem.ts";
import { INTERFACE, interfaceCollector } from "./interface.ts";
import { kernelCollector, type KernelCollectorDescription, kernelDescriptors } from "./kernel_collector.ts";
import { MEMORY } from "./memory.ts";
import { OOM } from "./oom.ts";
import { PAGE_FAULTS } from "./page_faults.ts";
import { PIDS } from "./pids.ts";
import { PRESSURE } from "./pressure.ts";
import { ownCgroup, Processes } from "./processes.ts";
import { SYSCALL } from "./syscall.ts";
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

/** A collector that there may be. */
export interface CollectorEntry {
  readonly name: string;
  /** The kernel signals it needs. */
  readonly signals: readonly SignalName[];
  /** What it may serve, and the signal that it is from, where it is from one. */
  readonly descriptors: readonly (Descriptor & { readonly signal?: SignalName })[];
  readonly create: (options: CollectorOptions & Shared) => Collector;
}

/** What several collectors use, made for the first of them. */
interface Shared {
  readonly proc: () => HostRoot;
  readonly sys: () => HostRoot;
  readonly processes: () => Processes;
}

/** In the order they run. */
export const COLLECTOR_ENTRIES: readonly CollectorEntry[] = [
  kernel(CPU_SCHED),
  kernel(TCP),
  kernel(OOM),
  kernel(PAGE_FAULTS),
  kernel(SYSCALL, ({ syscalls }) => {
    const names = new Map(syscalls.map(({ name, number }) => [String(number), name]));
    return (number) => names.get(number) ?? number;
  }),
  cgroup(DISK, ({ sys }) => deviceNames(sys())),
  {
    name: "interface",
    signals: [],
    descriptors: INTERFACE,
    create: ({ proc, processes, log }) => interfaceCollector(proc(), processes(), log),
  },
  {
    name: "filesystem",
    signals: [],
    descriptors: FILESYSTEM,
    create: ({ proc, processes, log }) => filesystemCollector(proc(), processes(), log),
  },
  cgroup(CPU),
  cgroup(MEMORY),
  cgroup(PRESSURE),
  cgroup(PIDS),
];

/** The text of a subkey's label. */
type SubkeyText = (subkey: string) => string;

function kernel(
  description: KernelCollectorDescription,
  subkeyText?: (options: CollectorOptions) => SubkeyText,
): CollectorEntry {
  return {
    name: description.name,
    signals: description.signals,
    descriptors: kernelDescriptors(description),
    create: (options) => kernelCollector(description, options.histogramResolution, subkeyText?.(options)),
  };
}

function cgroup(
  description: CgroupCollectorDescription,
  subkeyText?: (options: CollectorOptions & Shared) => SubkeyText,
): CollectorEntry {
  return {
    name: description.name,
    signals: [],
    descriptors: cgroupDescriptors(description),
    create: (options) => cgroupCollector(description, subkeyText?.(options)),
  };
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

function sharedBy({ procRoot, sysRoot }: CollectorOptions): Shared {
  const proc = once(() => openRoot("KPOD_PROC_ROOT", procRoot));
  const sys = once(() => openRoot("KPOD_SYS_ROOT", sysRoot));
  return { proc, sys, processes: once(() => new Processes(proc(), ownCgroup(sys()))) };
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => made ??= make();
}

/** The collectors wanted, and the kernel signals they need. */
export function createCollectors(
  options: CollectorOptions,
): { collectors: Collector[]; signals: SignalName[] } {
  const wanted = COLLECTOR_ENTRIES.filter(({ name }) => options.collectors.includes(name));
  const shared = sharedBy(options);
  return {
    collectors: wanted.map(({ create }) => create({ ...options, ...shared })),
    signals: wanted.flatMap(({ signals }) => signals),
  };
}
