/** Any number of nodes that serve what one real node did, under names of their own, with counters that go on. */
import type { Recording } from "./recording.ts";

interface Line {
  /** What is before the node's mark: all of it up to the value where the series is about no pod. */
  readonly head: string;
  /** Between the marks of the pod's and the node's name, and after them; empty where the series is about no pod. */
  readonly middle: string;
  readonly tail: string;
  readonly base: number;
  /** By how much it grew between the two takes. */
  readonly growth: number;
  readonly isCounter: boolean;
  readonly decimals: number;
  /** Lines of one series have one, so that a histogram's buckets stay cumulative. */
  readonly series: number;
}

/** Each node's counters begin somewhere else, up to so many scrapes later. */
const MOST_AHEAD = 1_000;

export class SimulatedNodes {
  readonly #pieces: readonly (string | Line)[];

  constructor({ before, after }: Recording) {
    this.#pieces = parse(before, after);
  }

  /** Series of one node. */
  get series(): number {
    return this.#lines.length;
  }

  /** Those of them whose value changes from scrape to scrape. */
  get moving(): number {
    return this.#lines.filter(({ growth }) => growth !== 0).length;
  }

  get #lines(): Line[] {
    return this.#pieces.filter((piece) => typeof piece !== "string");
  }

  /** What node number `node` answers to its scrape number `step`. */
  text(node: number, step: number): string {
    const mark = `-${String(node).padStart(4, "0")}`;
    const ahead = Math.floor(noise(node, 0, 0) * MOST_AHEAD);
    let text = "";
    for (const piece of this.#pieces) {
      if (typeof piece === "string") text += piece;
      else {
        const { head, middle, tail } = piece;
        const name = middle === "" ? head : `${head}${mark}${middle}${mark}${tail}`;
        text += `${name}${valueOf(piece, node, ahead + step)}\n`;
      }
    }
    return text;
  }
}

function valueOf({ base, growth, isCounter, decimals, series }: Line, node: number, step: number): string {
  if (growth === 0) return String(base);
  const moved = noise(node, series, step) + (isCounter ? step : 0);
  const value = base + growth * moved;
  return decimals === 0 ? String(Math.floor(value)) : String(Number(value.toFixed(decimals)));
}

/** A number from 0 to 1 that looks random and is the same each time. */
function noise(node: number, series: number, step: number): number {
  let hash = Math.imul(node + 1, 0x9e3779b1) ^ Math.imul(series + 1, 0x85ebca6b) ^
    Math.imul(step + 1, 0xc2b2ae35);
  hash = Math.imul(hash ^ hash >>> 16, 0x7feb352d);
  hash = Math.imul(hash ^ hash >>> 15, 0x846ca68b);
  return ((hash ^ hash >>> 16) >>> 0) / 2 ** 32;
}

const ABOUT_POD = /^(.*?pod="[^"]*)(".*?,node="[^"]*)(".*)$/;

function parse(before: string, after: string): (string | Line)[] {
  const earlier = new Map(
    before.split("\n").filter(isSeries).map((line) => splitValue(line)),
  );
  let type = "";
  let last = "";
  let series = 0;
  return after.split("\n").map((text) => {
    if (text.startsWith("# TYPE ")) type = text.split(" ").at(-1) ?? "";
    if (!isSeries(text)) return `${text}\n`;
    const [name, value] = splitValue(text);
    const then = earlier.get(name) ?? value;
    const parts = ABOUT_POD.exec(name)?.slice(1) ?? [name, "", ""];
    const owner = name.replace(/le="[^"]*",?/, "").replace(/^.*\{/, "");
    if (owner !== last) series++;
    last = owner;
    return {
      head: parts[0] ?? "",
      middle: parts[1] ?? "",
      tail: parts[2] ?? "",
      base: Number(then),
      growth: Number(value) - Number(then),
      isCounter: type !== "gauge",
      decimals: Math.max(decimalsOf(then), decimalsOf(value)),
      series,
    };
  });
}

function isSeries(line: string): boolean {
  return line !== "" && !line.startsWith("#");
}

/** The name with its labels and the space behind them, and the value. */
function splitValue(line: string): [name: string, value: string] {
  const end = line.lastIndexOf(" ") + 1;
  return [line.slice(0, end), line.slice(end)];
}

function decimalsOf(value: string): number {
  return value.split(".")[1]?.length ?? 0;
}
