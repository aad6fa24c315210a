/** What the agent says about itself. */
import { counter, type Descriptor, gauge, histogram } from "./descriptor.ts";
import type { Family, HistogramFamily, Labels, SimpleFamily } from "./family.ts";
import { SERIES_LIMITS } from "./series_limits.ts";

const COLLECTION_DURATION = histogram(
  "kpod_collection_duration_seconds",
  "How long a cycle took: finding the containers, running all collectors.",
);
const COLLECTOR_UP = gauge("kpod_collector_up", "Whether the collector's last run succeeded.", "collector");
const COLLECTOR_DURATION = gauge(
  "kpod_collector_duration_seconds",
  "How long the collector's last run took.",
  "collector",
);
const DISCOVERY_PODS = gauge("kpod_discovery_pods", "Pods in the kubelet's last good answer.");
const DISCOVERY_LAST_SUCCESS = gauge(
  "kpod_discovery_last_success_timestamp_seconds",
  "When the kubelet last gave a good answer; 0 before the first.",
);
const DISCOVERY_ERRORS = counter(
  "kpod_discovery_errors_total",
  "Polls of the kubelet that failed, and pods of its answers that could not be read.",
  "reason",
);
const UNATTRIBUTED_CGROUPS = gauge(
  "kpod_unattributed_cgroups",
  "Cgroups under kubepods with data whose pod the kubelet has not named.",
);
const BUILD_INFO = gauge(
  "kpod_build_info",
  "What is running; always 1.",
  "version",
  "deno",
  "libbpf",
  "kernel",
);
const MAP_ENTRIES = gauge("kpod_bpf_map_entries", "Entries of the map in use.", "map");
const MAP_CAPACITY = gauge("kpod_bpf_map_capacity", "Entries that the map was loaded with room for.", "map");
const MAP_MEMORY = gauge("kpod_bpf_map_memory_bytes", "Kernel memory that the map holds.", "map");
const MAP_UPDATE_ERRORS = counter(
  "kpod_bpf_map_update_errors_total",
  "Updates that the kernel refused because the map was full or memory short: events not counted.",
  "map",
);
const PROGRAM_MISSES = counter(
  "kpod_bpf_program_misses_total",
  "Events that a program did not see because it was already running on that CPU.",
  "program",
  "hook",
);
const PROGRAM_RUN_SECONDS = counter(
  "kpod_bpf_program_run_seconds_total",
  "Time spent in the program while the kernel kept count.",
  "program",
  "hook",
);
const PROGRAM_RUNS = counter(
  "kpod_bpf_program_runs_total",
  "Runs of the program while the kernel kept count.",
  "program",
  "hook",
);
const PROGRAM_INFO = gauge(
  "kpod_bpf_program_info",
  "How each signal is got from this kernel; always 1.",
  "program",
  "hook",
  "signal",
  "state",
  "reason",
);

const WEB_LAST_RELOAD_SUCCESSFUL = gauge(
  "kpod_web_config_last_reload_successful",
  "Whether the web configuration file, and those it names, could be used when they last changed.",
);
const WEB_LAST_RELOAD_SUCCESS = gauge(
  "kpod_web_config_last_reload_success_timestamp_seconds",
  "When the web configuration in force was read.",
);

/** What the agent serves about its cycles, and what runs. */
export const CYCLE: readonly Descriptor[] = [
  COLLECTION_DURATION,
  COLLECTOR_UP,
  COLLECTOR_DURATION,
  UNATTRIBUTED_CGROUPS,
  BUILD_INFO,
  ...SERIES_LIMITS,
];

/** What it serves about the kubelet. */
export const DISCOVERY: readonly Descriptor[] = [DISCOVERY_PODS, DISCOVERY_LAST_SUCCESS, DISCOVERY_ERRORS];

/** What it serves about its eBPF programs and their maps. */
export const PROGRAMS: readonly Descriptor[] = [
  PROGRAM_INFO,
  PROGRAM_MISSES,
  PROGRAM_RUN_SECONDS,
  PROGRAM_RUNS,
  MAP_ENTRIES,
  MAP_CAPACITY,
  MAP_MEMORY,
  MAP_UPDATE_ERRORS,
];

/** What it serves about its web configuration, where there is one. */
export const WEB: readonly Descriptor[] = [WEB_LAST_RELOAD_SUCCESSFUL, WEB_LAST_RELOAD_SUCCESS];

/** How long the agent's cycles take. */
export class CycleDurations {
  readonly #bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, Infinity];
  readonly #buckets: number[] = this.#bounds.map(() => 0);
  #sum = 0;

  observe(seconds: number): void {
    this.#sum += seconds;
    this.#bounds.forEach((bound, index) => {
      if (seconds <= bound) this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    });
  }

  family(): HistogramFamily {
    const samples = [{ labels: {}, buckets: [...this.#buckets], sum: this.#sum }];
    return { ...COLLECTION_DURATION, bounds: this.#bounds, samples };
  }
}

/** How a collector's last run went. */
export interface CollectorRun {
  readonly name: string;
  readonly up: boolean;
  readonly seconds: number;
}

/** What discovery knows. */
export interface DiscoveryFacts {
  readonly pods: readonly unknown[];
  readonly lastSuccess: number | undefined;
  readonly errors: ReadonlyMap<string, number>;
}

/** What the loaded eBPF programs tell of themselves. */
export interface ProgramFacts {
  /** The maps in the kernel; `maxEntries` is 0 where a map has no fixed room. */
  maps(): ReadonlyMap<string, { readonly maxEntries: number; readonly memoryBytes: number }>;
  /** `undefined` for maps that are not read. */
  entryCount(map: string): number | undefined;
  /** Refused updates by map. */
  updateErrors(): ReadonlyMap<string, number>;
  programs(): readonly {
    readonly program: string;
    readonly hook: string;
    readonly misses: number;
    readonly runs: number;
    readonly runTimeSeconds: number;
  }[];
  readonly states: readonly {
    readonly program: string;
    readonly hook: string;
    readonly signal: string;
    readonly state: string;
    readonly reason: string;
  }[];
}

export interface BuildInfo {
  readonly version: string;
  readonly deno: string;
  readonly libbpf: string;
  readonly kernel: string;
}

type Series = readonly (readonly [labels: Labels, value: number])[];

function family(descriptor: Descriptor<"counter" | "gauge">, series: Series): SimpleFamily {
  return { ...descriptor, samples: series.map(([labels, value]) => ({ labels, value })) };
}

export function buildFamilies(build: BuildInfo): Family[] {
  return [family(BUILD_INFO, [[{ ...build }, 1]])];
}

export function collectorFamilies(runs: readonly CollectorRun[]): Family[] {
  return [
    family(COLLECTOR_UP, runs.map(({ name, up }) => [{ collector: name }, Number(up)])),
    family(COLLECTOR_DURATION, runs.map(({ name, seconds }) => [{ collector: name }, seconds])),
  ];
}

export function discoveryFamilies(discovery: DiscoveryFacts, unattributed: number): Family[] {
  const { pods, lastSuccess, errors } = discovery;
  return [
    family(DISCOVERY_PODS, [[{}, pods.length]]),
    family(DISCOVERY_LAST_SUCCESS, [[{}, (lastSuccess ?? 0) / 1000]]),
    family(DISCOVERY_ERRORS, [...errors].map(([reason, count]) => [{ reason }, count])),
    family(UNATTRIBUTED_CGROUPS, [[{}, unattributed]]),
  ];
}

/** `loadedAt` is in milliseconds since the epoch. */
export function webFamilies(web: { readonly lastSucceeded: boolean; readonly loadedAt: number }): Family[] {
  return [
    family(WEB_LAST_RELOAD_SUCCESSFUL, [[{}, Number(web.lastSucceeded)]]),
    family(WEB_LAST_RELOAD_SUCCESS, [[{}, web.loadedAt / 1000]]),
  ];
}

/** `timed` tells whether the kernel keeps run times just now (`kernel.bpf_stats_enabled`); the agent never turns that on. */
export function programFamilies(programs: ProgramFacts, timed: boolean): Family[] {
  const attached = programs.programs();
  const maps = [...programs.maps()];
  const sized = maps.filter(([, info]) => info.maxEntries > 0);
  const counted = maps.flatMap(([map]) => {
    const count = programs.entryCount(map);
    return count === undefined ? [] : [[{ map }, count] as const];
  });
  return [
    family(MAP_ENTRIES, counted),
    family(MAP_CAPACITY, sized.map(([map, info]) => [{ map }, info.maxEntries])),
    family(MAP_MEMORY, maps.map(([map, info]) => [{ map }, info.memoryBytes])),
    family(MAP_UPDATE_ERRORS, [...programs.updateErrors()].map(([map, errors]) => [{ map }, errors])),
    family(PROGRAM_MISSES, attached.map(({ program, hook, misses }) => [{ program, hook }, misses])),
    ...(timed ? runTimeFamilies(attached) : []),
    family(
      PROGRAM_INFO,
      programs.states.map(({ program, hook, signal, state, reason }) => [
        { program, hook, signal, state, reason },
        1,
      ]),
    ),
  ];
}

function runTimeFamilies(attached: ReturnType<ProgramFacts["programs"]>): Family[] {
  const seconds: Series = attached.map(({ program, hook, runTimeSeconds }) => [
    { program, hook },
    runTimeSeconds,
  ]);
  return [
    family(PROGRAM_RUN_SECONDS, seconds),
    family(PROGRAM_RUNS, attached.map(({ program, hook, runs }) => [{ program, hook }, runs])),
  ];
}
