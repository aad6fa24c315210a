/** What serving a series costs beside node_exporter, each with all that it has, compressed. */
import { setTimeout as pause } from "node:timers/promises";
import { freePort, NO_TIMER } from "../agent/agent.ts";
import { SPACING_MS } from "./agent_cycle.ts";
import { Farm } from "./agent_farm.ts";
import { completeScrape } from "./agent_ready.ts";
import { type Reference, startReference } from "./agent_reference.ts";
import { Client, countSeries } from "./agent_scrape.ts";
import { startAgent } from "./agent_shipped.ts";
import { type Figure, summary } from "./measure.ts";
import { ProcessClock } from "./process_clock.ts";

const PODS = 110;
const WARM_UP = 12;
const ROUNDS = 15;

/** Measures the agent and node_exporter in turns. */
export async function seriesCost(interrupted: AbortSignal): Promise<Figure> {
  await using farm = await Farm.start(PODS, interrupted);
  await using agent = await startAgent(farm, NO_TIMER, interrupted);
  await using exporter = await startExporter();
  await completeScrape(agent, farm, interrupted);
  using clock = new ProcessClock();
  using agentClient = new Client();
  using exporterClient = new Client();
  const own: number[] = [], other: number[] = [];
  let series = { own: 0, other: 0 };
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    interrupted.throwIfAborted();
    await farm.work();
    const before = { own: clock.read(agent.pid), other: clock.read(exporter.pid) };
    // What follows an answer, such as the collection of garbage, is part of it.
    const [ownText, otherText] = await Promise.all([
      agentClient.scrape(`${agent.url}/metrics`),
      exporterClient.scrape(exporter.url),
    ]);
    await pause(SPACING_MS);
    series = { own: countSeries(ownText.text), other: countSeries(otherText.text) };
    own.push((clock.read(agent.pid) - before.own) / 1000 / series.own);
    other.push((clock.read(exporter.pid) - before.other) / 1000 / series.other);
  }
  const measured = summary(own.slice(WARM_UP));
  return {
    ...measured,
    unit: "µs",
    reference: summary(other.slice(WARM_UP)).value,
    note: `${ROUNDS} scrapes of ${series.own} series, ${
      (measured.value * series.own / 1000).toFixed(0)
    } ms each; node_exporter ${series.other}`,
  };
}

/** With its default collectors. */
function startExporter(): Promise<Reference> {
  const address = `127.0.0.1:${freePort()}`;
  return startReference({
    program: "bin/prometheus-node-exporter",
    package: "prometheus-node-exporter",
    args: [`--web.listen-address=${address}`, "--log.level=error"],
    url: `http://${address}/metrics`,
  });
}
