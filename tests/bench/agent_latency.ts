/** How long scrapers wait that come at once, beside those of a web server that has the same text in a file. */
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "../agent/agent.ts";
import { SPACING_MS } from "./agent_cycle.ts";
import { Farm } from "./agent_farm.ts";
import { completeScrape } from "./agent_ready.ts";
import { type Reference, startReference } from "./agent_reference.ts";
import { Client, countSeries } from "./agent_scrape.ts";
import { startAgent } from "./agent_shipped.ts";
import { percentile } from "./agent_statistics.ts";
import type { Figure } from "./measure.ts";

const PODS = 250;
const SCRAPERS = 4;
const TURNS = 2;
const TURN_MS = 10_000;

/** Measures the agent and nginx in turns, each scraped by several that do not wait between two scrapes. */
export async function scrapeLatency(interrupted: AbortSignal): Promise<Figure> {
  await using farm = await Farm.start(PODS, interrupted);
  await using agent = await startAgent(farm, { KPOD_PROFILE: "comprehensive" }, interrupted);
  await completeScrape(agent, farm, interrupted);
  await farm.work();
  await pause(SPACING_MS);
  const text = await completeScrape(agent, farm, interrupted);
  await using files = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir();
  files.defer(() => Deno.remove(directory, { recursive: true }));
  await using server = await startServer(text, directory);
  await scrapesFor(TURN_MS / 2, `${agent.url}/metrics`, interrupted);
  const own: number[] = [], other: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    own.push(...await scrapesFor(TURN_MS, `${agent.url}/metrics`, interrupted));
    other.push(...await scrapesFor(TURN_MS, server.url, interrupted));
  }
  return {
    value: 1000 * percentile(own, 0.99),
    range: [1000 * Math.min(...own), 1000 * Math.max(...own)],
    unit: "ms",
    reference: 1000 * percentile(other, 0.99),
    note: `${own.length} scrapes, ${SCRAPERS} at a time, of ${countSeries(text)} series; the file's ${
      (text.length / 1e6).toFixed(0)
    } MB ${other.length} times`,
  };
}

/** What each scrape took, in seconds. */
async function scrapesFor(milliseconds: number, url: string, interrupted: AbortSignal): Promise<number[]> {
  const end = performance.now() + milliseconds;
  const scrapers = Array.from({ length: SCRAPERS }, async () => {
    using client = new Client();
    const seconds: number[] = [];
    while (performance.now() < end) {
      interrupted.throwIfAborted();
      seconds.push((await client.scrape(url)).seconds);
    }
    return seconds;
  });
  return (await Promise.all(scrapers)).flat();
}

/** nginx with one file, which it compresses as the agent does. */
async function startServer(text: string, directory: string): Promise<Reference> {
  const address = `127.0.0.1:${freePort()}`;
  await Deno.writeTextFile(`${directory}/metrics`, text);
  await Deno.writeTextFile(`${directory}/nginx.conf`, configuration(directory, address));
  return await startReference({
    program: "sbin/nginx",
    package: "nginx",
    args: ["-c", `${directory}/nginx.conf`, "-e", "stderr", "-p", directory],
    url: `http://${address}/metrics`,
  });
}

function configuration(directory: string, address: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${directory}/${name};`);
  return `
    user root;
    daemon off;
    master_process off;
    pid ${directory}/pid;
    events {}
    http {
      access_log off;
      ${temporary.join("\n")}
      default_type text/plain;
      gzip on;
      gzip_comp_level 2;
      gzip_types text/plain;
      server { listen ${address}; root ${directory}; }
    }
  `;
}
