/**
 * `deno task scaling`: a real Prometheus scrapes many simulated nodes for some minutes; prints what that took, as the
 * tables of docs/scaling.md. What each node serves is recorded from a real agent.
 */
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { ensureTools, LAB_TOOLS, TEST_TOOLS, unpackTools } from "../../native/tools.ts";
import { PROFILES } from "../../src/profiles.ts";
import { GZIP_LEVEL } from "./farm.ts";
import { type ProfileName, record } from "./recording.ts";
import { SimulatedNodes } from "./simulated_nodes.ts";
import { type Figures, simulate } from "./simulation.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    nodes: { type: "string", default: "30" },
    pods: { type: "string", default: "100" },
    interval: { type: "string", default: "2.5" },
    /** More than a chunk holds: some 120 to 145. */
    scrapes: { type: "string", default: "150" },
  },
});
const [nodes, pods] = [Number(values.nodes), Number(values.pods)];
const [intervalSeconds, scrapes] = [Number(values.interval), Number(values.scrapes)];

await ensureTools(LAB_TOOLS);
Deno.env.set(
  "PATH",
  await unpackTools(TEST_TOOLS, fileURLToPath(new URL("../build/tools", import.meta.url))),
);
console.log(`Recording a node with ${pods} pods of two containers in each profile`);
console.log(`${await scrapeTable()}\n`);
const recording = await record(pods);
const load = loadavg()[0] ?? NaN;
console.log(
  `Scraping ${nodes} such nodes of the profile standard every ${intervalSeconds} s, ${scrapes} times`,
);
const figures = await simulate(recording, { nodes, intervalSeconds, scrapes });
console.log(`${figureTable(figures)}

${cpus().length} CPUs; the load average was ${load.toFixed(1)} before.`);
// Scrapes that wait for each other have irregular times, which alone takes chunks and memory twice the size.
if (figures.scrapeSeconds.mean > intervalSeconds / 2) {
  console.error(
    "The machine was too busy for this: the figures are too high. Set a longer --interval, or fewer --nodes",
  );
  Deno.exit(1);
}

/** What one scrape is in bytes. */
async function scrapeTable(): Promise<string> {
  const rows = [["profile", "series", "text, bytes a series", "compressed, bytes a series"]];
  for (const profile of Object.keys(PROFILES) as ProfileName[]) {
    const { after } = await record(pods, profile);
    const { series } = new SimulatedNodes({ before: after, after });
    const compressed = gzipSync(after, { level: GZIP_LEVEL }).length;
    rows.push([profile, `${series}`, (after.length / series).toFixed(0), (compressed / series).toFixed(1)]);
  }
  return rows.map((row) => `| ${row.join(" | ")} |`).join("\n");
}

function figureTable(figures: Figures): string {
  const seconds = (time: number) => `${time.toFixed(2)} s`;
  const rows: readonly (readonly [what: string, measured: string])[] = [
    ["series of a node", String(figures.seriesOfNode)],
    ["of those changing from scrape to scrape", `${Math.round(100 * figures.movingShare)} %`],
    ["text of a scrape", `${(figures.textBytes / 1e6).toFixed(2)} MB`],
    ["the same compressed", `${(figures.gzipBytes / 1e6).toFixed(2)} MB`],
    ["series in the head", String(figures.headSeries)],
    ["chunks in the head", String(figures.headChunks)],
    ["samples a second", String(Math.round(figures.samplesPerSecond))],
    ["resident memory, at most", `${(figures.residentBytes / 1e9).toFixed(2)} GB`],
    ["resident memory a series", `${(figures.residentBytes / figures.headSeries / 1e3).toFixed(2)} kB`],
    ["live heap a series", `${(figures.liveHeapBytes / figures.headSeries / 1e3).toFixed(2)} kB`],
    ["CPUs for 100,000 samples a second", (figures.cpus / figures.samplesPerSecond * 1e5).toFixed(2)],
    ["a scrape takes, mean", seconds(figures.scrapeSeconds.mean)],
    ["a scrape takes, at most", seconds(figures.scrapeSeconds.most)],
    ["write-ahead log a sample", `${figures.walBytesPerSample.toFixed(1)} bytes`],
    ["chunks of a block a sample", `${figures.chunkBytesPerSample.toFixed(1)} bytes`],
    ["index of a block a series", `${figures.indexBytesPerSeries.toFixed(0)} bytes`],
    ["query: the ten largest working sets", seconds(figures.querySeconds.gauge)],
    ["query: the ten longest waits for a CPU", seconds(figures.querySeconds.quantile)],
  ];
  return rows.map(([what, measured]) => `| ${what.padEnd(40)} | ${measured.padStart(12)} |`).join("\n");
}
