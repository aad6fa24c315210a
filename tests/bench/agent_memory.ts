/** The agent's resident memory over many scrapes, and whether it grows. */
import { setTimeout as pause } from "node:timers/promises";
import { SHORT_INTERVALS } from "../agent/agent.ts";
import { Farm } from "./agent_farm.ts";
import { completeScrape } from "./agent_ready.ts";
import { type Answer, Client, countSeries } from "./agent_scrape.ts";
import { startAgent } from "./agent_shipped.ts";
import { slope } from "./agent_statistics.ts";
import { type Figure, summary } from "./measure.ts";

const SCRAPES = 300;
/** Scrapes begin at least this long after each other: a cycle and a poll of the kubelet come every second. */
const SPACING_MS = 250;
/** Before them the memory is filled for the first time. */
const WARM_UP = 100;
/** Of the last of these the median is the figure. */
const LAST = 50;

/** Measures what an agent over so many pods takes. */
export async function residentMemory(
  pods: number,
  profile: string,
  interrupted: AbortSignal,
): Promise<Figure> {
  await using farm = await Farm.start(pods, interrupted);
  await using agent = await startAgent(farm, { ...SHORT_INTERVALS, KPOD_PROFILE: profile }, interrupted);
  await completeScrape(agent, farm, interrupted);
  using client = new Client();
  const resident: number[] = [];
  let last: Answer | undefined;
  for (let scrape = 0; scrape < SCRAPES; scrape++) {
    interrupted.throwIfAborted();
    if (scrape % 4 === 0) await farm.work();
    const spacing = pause(SPACING_MS);
    last = await client.scrape(`${agent.url}/metrics`);
    resident.push(residentBytes(agent.pid) / 1e6);
    await spacing;
  }
  const growth = 100 * slope(resident.slice(WARM_UP));
  return {
    ...summary(resident.slice(-LAST)),
    unit: "MB",
    reference: null,
    note: `of the last ${LAST} of ${SCRAPES} scrapes of ${countSeries(last?.text ?? "")} series; ${
      growth.toFixed(2)
    } MB more every 100 scrapes after the first ${WARM_UP}; at most ${Math.max(...resident).toFixed(0)} MB`,
  };
}

function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s*(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
  return 1024 * Number(kilobytes);
}
