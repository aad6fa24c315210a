/** What the agent takes at the usual interval of scrapes, and how long it takes to be there. */
import { setTimeout as pause } from "node:timers/promises";
import { SPACING_MS } from "./agent_cycle.ts";
import { Farm } from "./agent_farm.ts";
import { completeScrape } from "./agent_ready.ts";
import { Client } from "./agent_scrape.ts";
import { startAgent } from "./agent_shipped.ts";
import { type Figure, summary } from "./measure.ts";
import { ProcessClock } from "./process_clock.ts";

const PODS = 110;
const WARM_UP = 12;
const INTERVAL_MS = 15_000;
const INTERVALS = 4;
const STARTS = 5;

/** CPU of an agent that is scraped every 15 seconds, its timer and its polls included. */
export async function idleCpu(interrupted: AbortSignal): Promise<Figure> {
  await using farm = await Farm.start(PODS, interrupted);
  await using agent = await startAgent(farm, {}, interrupted);
  await completeScrape(agent, farm, interrupted);
  using clock = new ProcessClock();
  using client = new Client();
  const scrape = () => client.scrape(`${agent.url}/metrics`);
  for (let index = 0; index < WARM_UP; index++) {
    await pause(SPACING_MS, undefined, { signal: interrupted });
    await scrape();
  }
  const percents: number[] = [];
  for (let interval = 0; interval < INTERVALS; interval++) {
    await farm.work();
    const before = { cpu: clock.read(agent.pid), time: performance.now() };
    await scrape();
    await pause(INTERVAL_MS, undefined, { signal: interrupted });
    percents.push((clock.read(agent.pid) - before.cpu) / 1e4 / (performance.now() - before.time));
  }
  const mean = percents.reduce((sum, each) => sum + each) / INTERVALS;
  return {
    value: mean,
    range: summary(percents).range,
    unit: "%",
    reference: null,
    note: `mean of ${INTERVALS} intervals of 15 s`,
  };
}

/** From the start of the process to a scrape that has every container whole. */
export async function startTime(interrupted: AbortSignal): Promise<Figure> {
  await using farm = await Farm.start(PODS, interrupted);
  // The first one compiles the sources, which the image has compiled already.
  await startOnce(farm, interrupted);
  const seconds: number[] = [];
  for (let index = 0; index < STARTS; index++) seconds.push(await startOnce(farm, interrupted));
  return { ...summary(seconds), unit: "s", reference: null, note: `${STARTS} starts` };
}

async function startOnce(farm: Farm, interrupted: AbortSignal): Promise<number> {
  const began = performance.now();
  await using agent = await startAgent(farm, {}, interrupted);
  await completeScrape(agent, farm, interrupted);
  return (performance.now() - began) / 1000;
}
