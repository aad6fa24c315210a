/**
 * The agent's own process, in the families every Prometheus client library serves. prom-client's
 * `collectDefaultMetrics` is not used: it reads /proc itself, which Deno refuses, and would report 0.
 */

import { counter, type Descriptor, gauge } from "./descriptor.ts";
import type { SimpleFamily } from "./family.ts";

/** Text of the process's own files in /proc (proc(5)), and what is needed to read their numbers. */
export interface ProcessFiles {
  /** `/proc/self/stat` */
  readonly stat: string;
  /** `/proc/self/status` */
  readonly status: string;
  /** `/proc/self/limits` */
  readonly limits?: string | undefined;
  /** How many file descriptors are open. */
  readonly openFiles?: number | undefined;
  /** When the kernel booted, Unix time: `btime` of `/proc/stat`. */
  readonly bootTimeSeconds: number;
  /** `sysconf(_SC_CLK_TCK)`: 100 on every architecture the agent runs on. */
  readonly clockTicks: number;
}

/** Fields of `/proc/PID/stat`, counted from 1 as proc(5) does. */
const STAT = { utime: 14, stime: 15, starttime: 22, vsize: 23 } as const;

type Read = (files: ProcessFiles) => number;

const FAMILIES: readonly (readonly [descriptor: Descriptor<"counter" | "gauge">, read: Read])[] = [
  [counter("process_cpu_user_seconds_total", "User CPU time spent."), (files) => seconds(files, STAT.utime)],
  [
    counter("process_cpu_system_seconds_total", "System CPU time spent."),
    (files) => seconds(files, STAT.stime),
  ],
  [
    counter("process_cpu_seconds_total", "User and system CPU time spent."),
    (files) => seconds(files, STAT.utime) + seconds(files, STAT.stime),
  ],
  [
    gauge("process_start_time_seconds", "Start time of the process since the Unix epoch."),
    (files) => files.bootTimeSeconds + seconds(files, STAT.starttime),
  ],
  [
    gauge("process_resident_memory_bytes", "Resident memory."),
    ({ status }) => statusBytes(status, "VmRSS"),
  ],
  [gauge("process_virtual_memory_bytes", "Virtual memory."), ({ stat }) => statField(stat, STAT.vsize)],
  [gauge("process_open_fds", "Open file descriptors."), ({ openFiles }) => openFiles ?? NaN],
  [gauge("process_max_fds", "Limit of open file descriptors."), ({ limits }) => maxOpenFiles(limits ?? "")],
];

/** What the agent serves about its own process. */
export const PROCESS: readonly Descriptor[] = FAMILIES.map(([descriptor]) => descriptor);

/** Returns a family of one sample for each number the files hold; what they do not hold is left out. */
export function processFamilies(files: ProcessFiles): SimpleFamily[] {
  return FAMILIES.flatMap(([descriptor, read]) => {
    const value = read(files);
    return Number.isFinite(value) ? [{ ...descriptor, samples: [{ labels: {}, value }] }] : [];
  });
}

function seconds({ stat, clockTicks }: ProcessFiles, field: number): number {
  return statField(stat, field) / clockTicks;
}

/**
 * Reads a numbered field: `1234 (deno main) S 1 …`. The name, field 2, may itself hold spaces and parentheses, but no
 * later field does.
 */
function statField(stat: string, field: number): number {
  const fromThird = stat.slice(stat.lastIndexOf(")") + 1).trim().split(/\s+/);
  return Number(fromThird[field - 3] ?? NaN);
}

/** Reads a line such as `VmRSS:     52044 kB`; the kernel's kB are 1024 bytes. */
function statusBytes(status: string, key: string): number {
  const match = new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(status);
  return Number(match?.[1] ?? NaN) * 1024;
}

/** Reads the soft limit of `Max open files            1024                 524288               files`. */
function maxOpenFiles(limits: string): number {
  return Number(/^Max open files\s+(\d+)\s/m.exec(limits)?.[1] ?? NaN);
}
