/** Tracked system calls: one series a container and call, from the first call on. */
import type { Target } from "../cgroup/targets.ts";
import type { Row } from "./kernel_families.ts";
import type { KernelCollectorDescription } from "./kernel_collector.ts";
import type { Totals } from "./target_totals.ts";

/** `names` are the tracked system calls, by number. */
export function syscallDescription(names: ReadonlyMap<number, string>): KernelCollectorDescription {
  return {
    name: "syscall",
    map: "syscall",
    signals: ["syscall"],
    counters: [
      {
        name: "kpod_syscall_count_total",
        help: "Entries of the system call, those that never return included.",
        signal: "syscall",
        series: [{ counter: "count" }],
      },
      {
        name: "kpod_syscall_errors_total",
        help: "Returns of the system call with an error.",
        signal: "syscall",
        series: [{ counter: "errors" }],
      },
    ],
    histograms: [{
      name: "kpod_syscall_latency_seconds",
      help: "Time from entry to return of the system call.",
      signal: "syscall",
      prefix: "latency",
    }],
    rows: (totals) => rowPerCall(totals, names),
  };
}

function rowPerCall(totals: ReadonlyMap<Target, Totals>, names: ReadonlyMap<number, string>): Row[] {
  return [...totals].flatMap(([target, calls]) =>
    [...calls].sort(([one], [other]) => Number(one) - Number(other)).map(([number, counters]) => ({
      target,
      labels: { syscall: names.get(Number(number)) ?? number },
      counters,
    }))
  );
}
