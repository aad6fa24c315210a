/** Memory, from memory.current, memory.stat, memory.swap.current and memory.max. */
import { flatKeyedValue } from "../parse/flat_keyed.ts";
import { parseSingleValue } from "../parse/single_value.ts";
import type { CgroupCollectorDescription } from "./cgroup_collector.ts";

export const MEMORY: CgroupCollectorDescription = {
  name: "memory",
  files: ["memory.current", "memory.stat", "memory.swap.current", "memory.max"],
  read(file) {
    const single = (name: string) => parseSingleValue(file(name) ?? "");
    const stat = (key: string) => flatKeyedValue(file("memory.stat") ?? "", key);
    const usage = single("memory.current");
    const inactiveFile = stat("inactive_file");
    const gauges = {
      usage,
      // As the kubelet has it: what the kernel could not simply drop (cAdvisor, setMemoryStats).
      working_set: usage === undefined || inactiveFile === undefined
        ? undefined
        : Math.max(0, usage - inactiveFile),
      rss: stat("anon"),
      cache: stat("file"),
      swap: single("memory.swap.current"),
      limit: single("memory.max"),
    };
    const known = Object.entries(gauges).filter((entry): entry is [string, number] => entry[1] !== undefined);
    return { gauges: Object.fromEntries(known) };
  },
  counters: [],
  gauges: [
    {
      name: "kpod_mem_usage_bytes",
      help: "Memory charged to the container, page cache included.",
      value: "usage",
    },
    {
      name: "kpod_mem_working_set_bytes",
      help: "Memory in use less inactive page cache, as the kubelet computes it.",
      value: "working_set",
    },
    {
      name: "kpod_mem_rss_bytes",
      help: "Anonymous memory: heaps, stacks and the like, shared memory not included.",
      value: "rss",
    },
    {
      name: "kpod_mem_cache_bytes",
      help: "Page cache of files, tmpfs and shared memory included.",
      value: "cache",
    },
    { name: "kpod_mem_swap_bytes", help: "Swap that the container's memory takes.", value: "swap" },
    {
      name: "kpod_mem_limit_bytes",
      help: "The container's memory limit; absent where there is none.",
      value: "limit",
    },
  ],
};
