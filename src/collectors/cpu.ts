/** CPU time and throttling, from cpu.stat. */
import { flatKeyedValue } from "../parse/flat_keyed.ts";
import type { CgroupCollectorDescription } from "./cgroup_collector.ts";

const MICROSECONDS = 1e6;

/** Counter, its key in cpu.stat and how many of its units make one of ours. Throttling is only there with a CPU limit. */
const KEYS = [
  ["usage", "usage_usec", MICROSECONDS],
  ["user", "user_usec", MICROSECONDS],
  ["system", "system_usec", MICROSECONDS],
  ["throttled", "throttled_usec", MICROSECONDS],
  ["throttled_periods", "nr_throttled", 1],
  ["periods", "nr_periods", 1],
] as const;

export const CPU: CgroupCollectorDescription = {
  name: "cpu",
  files: ["cpu.stat"],
  read(file) {
    const text = file("cpu.stat");
    if (text === undefined) return {};
    const found: Record<string, number> = {};
    for (const [name, key, unit] of KEYS) {
      const value = flatKeyedValue(text, key);
      if (value !== undefined) found[name] = value / unit;
    }
    return { counters: new Map([["", found]]) };
  },
  counters: [
    {
      name: "kpod_cpu_usage_seconds_total",
      help: "CPU time that the container's tasks used, in user space and in the kernel.",
      value: "usage",
    },
    {
      name: "kpod_cpu_user_seconds_total",
      help: "CPU time that the container's tasks used in user space.",
      value: "user",
    },
    {
      name: "kpod_cpu_system_seconds_total",
      help: "CPU time that the container's tasks used in the kernel.",
      value: "system",
    },
    {
      name: "kpod_cpu_throttled_seconds_total",
      help: "Time for which the CPU limit held tasks back, added up over the CPUs.",
      value: "throttled",
    },
    {
      name: "kpod_cpu_throttled_periods_total",
      help: "Periods of the CPU limit in which it was used up and tasks were held back.",
      value: "throttled_periods",
    },
    {
      name: "kpod_cpu_periods_total",
      help: "Periods of the CPU limit in which the container had something to run.",
      value: "periods",
    },
  ],
  gauges: [],
};
