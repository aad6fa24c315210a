/** What was measured, as a table, a page and JSON. */
import { table, wrapped } from "../../docs/markdown.ts";
import type { Benchmark, Figure, Goal } from "./measure.ts";

/** A benchmark's figure, or why there is none. */
export type Result =
  | { readonly benchmark: Benchmark; readonly figure: Figure }
  | { readonly benchmark: Benchmark; readonly failure: string };

/** A figure beside its reference and its goal. */
export interface Judgement {
  /** Figure / reference; `null` where there is no reference. */
  readonly ratio: number | null;
  /** `null` where there is no goal. */
  readonly met: boolean | null;
}

/** Where the figures are from. */
export interface Machine {
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  /** The load average of the last minute before the run, and after it. */
  readonly load: readonly [before: number, after: number];
}

export function judge({ value, reference }: Figure, goal: Goal): Judgement {
  const ratio = reference === null ? null : value / reference;
  if (goal === "report") return { ratio, met: null };
  const bounded = ratio ?? value;
  return { ratio, met: "atMost" in goal ? bounded <= goal.atMost : bounded >= goal.atLeast };
}

/** One row a benchmark. */
export function figureTable(results: readonly Result[]): string {
  const head = ["benchmark", "figure", "smallest to largest", "reference", "ratio", "goal", "met", "note"];
  return table(head, results.map(rowOf));
}

function rowOf(result: Result): string[] {
  const { benchmark: { name, goal } } = result;
  if ("failure" in result) {
    return [name, "none", "", "", "", goalText(goal, ""), "", `could not run: ${oneLine(result.failure)}`];
  }
  const { figure: { value, range, unit, reference, note = "" } } = result;
  const { ratio, met } = judge(result.figure, goal);
  return [
    name,
    `${number(value)} ${unit}`,
    range === undefined ? "" : `${number(range[0])} to ${number(range[1])}`,
    reference === null ? "" : `${number(reference)} ${unit}`,
    ratio === null ? "" : number(ratio),
    goalText(goal, reference === null ? unit : ""),
    met === null ? "" : met ? "yes" : "no",
    oneLine(note),
  ];
}

function goalText(goal: Goal, unit: string): string {
  if (goal === "report") return "";
  return `${"atMost" in goal ? `≤ ${goal.atMost}` : `≥ ${goal.atLeast}`} ${unit}`.trimEnd();
}

/** docs/benchmarks.md. */
export function page(results: readonly Result[], { cpu, cpus, memoryBytes, kernel, load }: Machine): string {
  const [before, after] = load.map((average) => average.toFixed(1));
  const explained = results.map(({ benchmark: { name, measures, reference } }) =>
    [name, measures, reference ?? ""].map(oneLine)
  );
  const about =
    "Written by `deno task bench`, which measures each figure beside its reference, in turns, on one " +
    "machine. Figures are medians, and differ from machine to machine; their ratios to the references do so less.";
  const where =
    `Measured on ${cpu}, ${cpus} CPUs, ${
      number(memoryBytes / 1e9)
    } GB of memory, Linux ${kernel}; the load ` +
    `average was ${before} before and ${after} after the run.`;
  const goals = "A goal is a bound of the ratio, or of the figure where there is no reference.";
  const whats = table(["benchmark", "measures", "reference"], explained);
  const parts = ["# Benchmarks", wrapped(about), wrapped(where), figureTable(results), goals, whats];
  return `${parts.join("\n\n")}\n`;
}

/** An array of one object a benchmark, each value `null` where there is none. */
export function json(results: readonly Result[]): string {
  const entries = results.map((result) => {
    const { benchmark: { name, goal } } = result;
    const goals = { goal: goal === "report" ? null : goal };
    if ("failure" in result) {
      const { failure: error } = result;
      return { name, value: null, unit: null, reference: null, ratio: null, ...goals, met: null, error };
    }
    const { figure: { value, unit, reference } } = result;
    const { ratio, met } = judge(result.figure, goal);
    return { name, value, unit, reference, ratio, ...goals, met };
  });
  return `${JSON.stringify(entries, null, 2)}\n`;
}

const NUMBERS = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });

function number(value: number): string {
  return NUMBERS.format(value);
}

/** A cell of a table. */
function oneLine(text: string): string {
  return text.trim().replaceAll(/\s+/g, " ").replaceAll("|", "\\|");
}
