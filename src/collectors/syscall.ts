/** Tracked system calls: series for each container and call, from the first call on. */
import type { KernelCollectorDescription } from "./kernel_collector.ts";

export const SYSCALL: KernelCollectorDescription = {
  name: "syscall",
  map: "syscall",
  signals: ["syscall"],
  subkeyLabel: "syscall",
  counters: [
    {
      name: "kpod_syscall_count_total",
      help: "Entries of the system call, those that never return included.",
      signal: "syscall",
      series: [{ counter: "count" }],
    },
    {
      name: "kpod_syscall_errors_total",
      help: "Returns of the system call with an error, as the program sees it.",
      signal: "syscall",
      series: [{ counter: "errors" }],
    },
  ],
  histograms: [{
    name: "kpod_syscall_latency_seconds",
    help: "Time from entry to return of the system call, waiting in it included.",
    signal: "syscall",
    prefix: "latency",
  }],
};
