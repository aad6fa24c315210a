/** A real Prometheus that scrapes many simulated nodes, and what that takes. */
import { setTimeout as pause } from "node:timers/promises";
import { eventually } from "../agent/agent.ts";
import { Prometheus } from "../agent/prometheus.ts";
import { Farm } from "./farm.ts";
import type { Recording } from "./recording.ts";

export interface Settings {
  readonly nodes: number;
  readonly intervalSeconds: number;
  /** How often each node is scraped before it is measured. */
  readonly scrapes: number;
  /** Is shown Prometheus at the end. */
  readonly inspect?: (prometheus: Prometheus) => Promise<void>;
}

/** What was measured. */
export interface Figures {
  readonly seriesOfNode: number;
  /** The share of series whose value changes from scrape to scrape. */
  readonly movingShare: number;
  /** Bytes of a scrape, as text and compressed. */
  readonly textBytes: number;
  readonly gzipBytes: number;
  readonly headSeries: number;
  readonly headChunks: number;
  /** The largest resident set of Prometheus seen, and the heap that its last garbage collection left. */
  readonly residentBytes: number;
  readonly liveHeapBytes: number;
  /** Since all nodes had been scraped once: samples that Prometheus took in, and CPUs that it used for that. */
  readonly samplesPerSecond: number;
  readonly cpus: number;
  readonly scrapeSeconds: { readonly mean: number; readonly most: number };
  readonly walBytesPerSample: number;
  /** Of a block made of the whole head. */
  readonly chunkBytesPerSample: number;
  readonly indexBytesPerSeries: number;
  /** How long a query over all pods took: of a gauge, and of a histogram's quantile over ten scrapes. */
  readonly querySeconds: { readonly gauge: number; readonly quantile: number };
}

const WATCH_MS = 500;
const MOST_SETTLING_MS = 60_000;

/** The collector begins when the heap has grown to twice what the last one left (GOGC=100). */
const HEAP_GROWTH = 2;

const GAUGE_QUERY = "topk(10, sum by (namespace, pod) (kpod_mem_working_set_bytes))";
/** Five minutes have ten scrapes where one is made every 30 s. */
const QUANTILE_SCRAPES = 10;

/** Runs until every node has been scraped often enough, about `scrapes` intervals. */
export async function simulate(recording: Recording, settings: Settings): Promise<Figures> {
  const { nodes, intervalSeconds, scrapes, inspect } = settings;
  await using farm = new Farm(recording, nodes);
  await using prometheus = await Prometheus.startJobs([farm.job(intervalSeconds)], [], [
    "--web.enable-admin-api",
  ]);
  const limitMs = 2 * scrapes * intervalSeconds * 1_000 + MOST_SETTLING_MS;
  let residentBytes = 0;
  const scraped = (times: number) =>
    eventually(`every node was scraped ${times} times`, async () => {
      await pause(WATCH_MS);
      residentBytes = Math.max(residentBytes, (await moment(prometheus)).residentBytes);
      return farm.least >= times || `${farm.least} times`;
    }, { limitMs });
  await scraped(1);
  const first = await moment(prometheus);
  await scraped(scrapes);
  const last = await moment(prometheus);
  const seconds = last.time - first.time;
  const window = `${Math.ceil(QUANTILE_SCRAPES * intervalSeconds)}s`;
  const quantileQuery =
    `topk(10, histogram_quantile(0.99, sum by (namespace, pod, le) (rate(kpod_cpu_runqueue_latency_seconds_bucket[${window}]))))`;
  const { series, moving } = farm.simulated;
  const querySeconds = {
    gauge: await timed(() => prometheus.query(GAUGE_QUERY)),
    quantile: await timed(() => prometheus.query(quantileQuery)),
  };
  await inspect?.(prometheus);
  return {
    seriesOfNode: series,
    movingShare: moving / series,
    textBytes: farm.textBytes / farm.answers,
    gzipBytes: farm.gzipBytes / farm.answers,
    headSeries: last.headSeries,
    headChunks: last.headChunks,
    residentBytes,
    liveHeapBytes: last.nextCollection / HEAP_GROWTH,
    samplesPerSecond: (last.samples - first.samples) / seconds,
    cpus: (last.cpuSeconds - first.cpuSeconds) / seconds,
    scrapeSeconds: {
      mean: await prometheus.number("avg(scrape_duration_seconds)"),
      most: await prometheus.number(`max(max_over_time(scrape_duration_seconds[${Math.ceil(seconds)}s]))`),
    },
    walBytesPerSample: bytesBeneath(`${prometheus.directory}/data/wal`) / last.samples,
    querySeconds,
    ...await blockFigures(prometheus),
  };
}

/** What Prometheus says of itself now. */
async function moment(prometheus: Prometheus) {
  const text = await (await fetch(`${prometheus.url}/metrics`)).text();
  const sum = (name: string) =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"))]
      .reduce((total, [, value]) => total + Number(value), 0);
  return {
    time: Date.now() / 1_000,
    samples: sum("prometheus_tsdb_head_samples_appended_total"),
    headSeries: sum("prometheus_tsdb_head_series"),
    headChunks: sum("prometheus_tsdb_head_chunks"),
    residentBytes: sum("process_resident_memory_bytes"),
    nextCollection: sum("go_memstats_next_gc_bytes"),
    cpuSeconds: sum("process_cpu_seconds_total"),
  };
}

/** Makes a block of the whole head, as Prometheus does every two hours, and tells how large it is. */
async function blockFigures(prometheus: Prometheus) {
  const response = await fetch(`${prometheus.url}/api/v1/admin/tsdb/snapshot`, { method: "POST" });
  const { data, error } = await response.json() as { data?: { name: string }; error?: string };
  if (data === undefined) throw new Error(`Cannot make a block of the head: got ${error}`);
  const snapshot = `${prometheus.directory}/data/snapshots/${data.name}`;
  const blocks = [...Deno.readDirSync(snapshot)].map(({ name }) => `${snapshot}/${name}`);
  const sum = (of: (block: string) => number) => blocks.reduce((total, block) => total + of(block), 0);
  const stats = (block: string): Record<"numSamples" | "numSeries", number> =>
    JSON.parse(Deno.readTextFileSync(`${block}/meta.json`)).stats;
  return {
    chunkBytesPerSample: sum((block) => bytesBeneath(`${block}/chunks`)) /
      sum((block) => stats(block).numSamples),
    indexBytesPerSeries: sum((block) => Deno.statSync(`${block}/index`).size) /
      sum((block) => stats(block).numSeries),
  };
}

/** The files' sizes in a directory, those of the directories in it included. */
function bytesBeneath(directory: string): number {
  return [...Deno.readDirSync(directory)].reduce((total, { name, isDirectory }) => {
    const path = `${directory}/${name}`;
    return total + (isDirectory ? bytesBeneath(path) : Deno.statSync(path).size);
  }, 0);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
}
