/** The agent's cycle beside a C program that reads the same. */
import { setTimeout as pause } from "node:timers/promises";
import { NO_TIMER } from "../agent/agent.ts";
import { Farm } from "./agent_farm.ts";
import { type ReadTimes, startReader } from "./agent_reader.ts";
import { completeScrape } from "./agent_ready.ts";
import { Client, countSeries, valueOf, valuesBy } from "./agent_scrape.ts";
import { startAgent } from "./agent_shipped.ts";
import { type Figure, summary } from "./measure.ts";
import { shared } from "./shared.ts";

/** A scrape of a snapshot that is older than this makes a cycle. */
export const SPACING_MS = 1_020;
const WARM_UP = 12;
const ROUNDS = 20;

/** What an exposition says of the cycles up to its own. */
interface Cycles {
  readonly count: number;
  readonly seconds: number;
  /** How long each collector took in the last one, in seconds. */
  readonly collectors: ReadonlyMap<string, number>;
  readonly series: number;
}

/** One cycle beside one reading of the same. */
interface Round extends Cycles {
  readonly read: ReadTimes;
}

/** Cycles of an agent over so many pods with the profile `standard`, each beside the reader's. */
async function measure(pods: number, interrupted: AbortSignal): Promise<Round[]> {
  await using farm = await Farm.start(pods, interrupted);
  await using agent = await startAgent(farm, NO_TIMER, interrupted);
  const text = await completeScrape(agent, farm, interrupted);
  await using reader = await startReader(farm, agent, text);
  using client = new Client();
  const rounds: Round[] = [];
  let before = cyclesOf(text);
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    await farm.work();
    await pause(SPACING_MS, undefined, { signal: interrupted });
    // Whoever reads first has the kernel bring its accounts up to date.
    const early = round % 2 === 0 ? undefined : await reader.send<ReadTimes>("go");
    const now = cyclesOf((await client.scrape(`${agent.url}/metrics`)).text);
    const read = early ?? await reader.send<ReadTimes>("go");
    rounds.push({ ...now, ...lastOf(before, now), read });
    before = now;
  }
  return rounds.slice(WARM_UP);
}

function cyclesOf(text: string): Cycles {
  return {
    count: valueOf(text, "kpod_collection_duration_seconds_count"),
    seconds: valueOf(text, "kpod_collection_duration_seconds_sum"),
    collectors: valuesBy(text, "kpod_collector_duration_seconds", "collector"),
    series: countSeries(text),
  };
}

/** What the one cycle took that was made between two scrapes. */
function lastOf(before: Cycles, now: Cycles): Pick<Cycles, "count" | "seconds"> {
  const count = now.count - before.count;
  if (count !== 1) throw new Error(`Cannot tell how long a cycle took: a scrape made ${count} of them`);
  return { count, seconds: now.seconds - before.seconds };
}

const small = shared((interrupted) => measure(110, interrupted));

export async function cycle110(interrupted: AbortSignal): Promise<Figure> {
  const rounds = await small(interrupted);
  const reference = median(rounds.map(({ read }) => readMs(read)));
  return { ...cycleFigure(rounds), reference, note: `${noteOf(rounds)}; ${readNote(rounds)}` };
}

export async function cycle500(interrupted: AbortSignal): Promise<Figure> {
  const reference = 5 * cycleFigure(await small(interrupted)).value;
  const rounds = await measure(500, interrupted);
  return { ...cycleFigure(rounds), reference, note: noteOf(rounds) };
}

function cycleFigure(rounds: readonly Round[]) {
  return { ...summary(rounds.map(({ seconds }) => seconds * 1000)), unit: "ms" };
}

/** What metrics are from; the lists of mounts change seldom. */
function readMs({ cgroups, interfaces, filesystems, maps }: ReadTimes): number {
  return (cgroups + interfaces + filesystems + maps) / 1e6;
}

/** `20 cycles of 14408 series: filesystem 58.1, interface 11.0, … ms`, the longest first. */
function noteOf(rounds: readonly Round[]): string {
  const names = [...rounds[0]?.collectors.keys() ?? []];
  const times = names.map((name) =>
    [name, 1000 * median(rounds.map(({ collectors }) => collectors.get(name) ?? NaN))] as const
  ).sort(([, one], [, other]) => other - one);
  const parts = times.map(([name, ms]) => `${name} ${ms.toFixed(1)}`).join(", ");
  const series = Math.max(...rounds.map(({ series }) => series));
  const incomplete = rounds.filter((round) => round.series < series).length;
  const lack = incomplete === 0 ? "" : `, of which ${incomplete} left some out`;
  return `${rounds.length} cycles of ${series} series${lack}: ${parts} ms`;
}

function readNote(rounds: readonly Round[]): string {
  const kinds = ["cgroups", "interfaces", "filesystems", "maps", "mounts"] as const;
  const times = kinds.map((kind) =>
    `${kind} ${(median(rounds.map(({ read }) => read[kind])) / 1e6).toFixed(2)}`
  );
  return `the C program: ${times.slice(0, -1).join(", ")} (not counted: ${times.at(-1)}) ms`;
}

function median(values: readonly number[]): number {
  return summary(values).value;
}
