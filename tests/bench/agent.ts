/** The benchmarks of the agent as a whole, each on a node of its own. */
import { cycle110, cycle500 } from "./agent_cycle.ts";
import { discovery } from "./agent_discovery.ts";
import { idleCpu, startTime } from "./agent_idle.ts";
import { scrapeLatency } from "./agent_latency.ts";
import { residentMemory } from "./agent_memory.ts";
import { seriesCost } from "./agent_series.ts";
import type { Benchmark } from "./measure.ts";

export const AGENT_BENCHMARKS: readonly Benchmark[] = [
  {
    name: "cycle_110",
    measures: "a cycle over 110 pods of two containers, by kpod_collection_duration_seconds",
    reference: "a C program that reads the same files, filesystems and maps",
    goal: { atMost: 1.5 },
    run: cycle110,
  },
  {
    name: "cycle_500",
    measures: "the same over 500 pods",
    reference: "five times cycle_110",
    goal: { atMost: 1 },
    run: cycle500,
  },
  {
    name: "discovery_250",
    measures: "a poll of the kubelet's 250 pods, and the reading of its answer",
    reference: "JSON.parse of the answer",
    goal: { atMost: 2 },
    run: discovery,
  },
  {
    name: "scrape_series",
    measures: "CPU time of a scrape over 110 pods, its cycle included, for each series",
    reference: "node_exporter, for each of its series",
    goal: { atMost: 0.25 },
    run: seriesCost,
  },
  {
    name: "scrape_p99",
    measures: "99th percentile of scrapes by four at a time, 250 pods, profile comprehensive",
    reference: "nginx with the same text in a file",
    goal: "report",
    run: scrapeLatency,
  },
  {
    name: "rss_110",
    measures: "resident memory over 110 pods after 300 scrapes",
    reference: null,
    goal: { atMost: 90 },
    run: (interrupted) => residentMemory(110, "standard", interrupted),
  },
  {
    name: "rss_500",
    measures: "resident memory over 500 pods after 300 scrapes, profile comprehensive",
    reference: null,
    goal: { atMost: 160 },
    run: (interrupted) => residentMemory(500, "comprehensive", interrupted),
  },
  {
    name: "cpu_idle",
    measures: "CPU of the agent over 110 pods with a scrape every 15 s, in percent of one",
    reference: null,
    goal: { atMost: 0.5 },
    run: idleCpu,
  },
  {
    name: "start",
    measures: "from the start of the process to a complete scrape of 110 pods",
    reference: null,
    goal: { atMost: 1.5 },
    run: startTime,
  },
];
