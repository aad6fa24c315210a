/** Reads exposition text and says what is wrong with it. For tests. */
import type { Family } from "../src/metrics/family.ts";
import { type ExpositionFormat, renderFamilies } from "../src/metrics/registry.ts";

/** The exposition as text. */
export async function rendered(families: readonly Family[], format: ExpositionFormat): Promise<string> {
  return (await Array.fromAsync(renderFamilies(families, format))).join("").toWellFormed();
}

/** One line of exposition that carries a value. */
export interface SeriesLine {
  readonly name: string;
  /** Labels with their escapes resolved, in the order written. */
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly value: number;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"';
const SERIES = new RegExp(`^(${NAME})(?:\\{((?:${LABEL}(?:,${LABEL})*)?)\\})? (\\S+)$`);
const NUMBER = /^(?:[+-]?Inf|NaN|[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)$/i;

/** Parses `name{label="value",…} 1.5`; returns undefined where the line breaks the grammar. */
export function parseSeries(line: string): SeriesLine | undefined {
  const [, name, labelText = "", valueText] = SERIES.exec(line) ?? [];
  if (name === undefined || valueText === undefined || !NUMBER.test(valueText)) return undefined;
  const labels = [...labelText.matchAll(/([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"/g)].map(
    ([, label = "", value = ""]) =>
      [label, value.replace(/\\(.)/g, (_, escaped) => escaped === "n" ? "\n" : escaped)] as const,
  );
  return { name, labels, value: Number(valueText.replace(/inf$/i, "Infinity")) };
}

/** Returns the lines of `text` that carry a value. */
export function seriesLines(text: string): SeriesLine[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => {
    const series = parseSeries(line);
    if (!series) throw new SyntaxError(`Cannot read exposition line: got ${line}`);
    return series;
  });
}

/** Returns each series that occurs more than once, whatever the order of its labels. */
export function findDuplicateSeries(text: string): string[] {
  const counts = new Map<string, number>();
  for (const series of seriesLines(text)) {
    const key = seriesKey(series);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].filter(([, count]) => count > 1).map(([key]) => key);
}

function seriesKey({ name, labels }: SeriesLine, without?: string): string {
  const sorted = labels.filter(([label]) => label !== without).map(([label, value]) =>
    `${label}=${JSON.stringify(value)}`
  ).sort();
  return `${name}{${sorted.join(",")}}`;
}

/** Sample name suffixes of each OpenMetrics type that the agent serves. */
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ["_total"],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
};

/**
 * Returns what breaks OpenMetrics 1.0 in `text`: the overall structure, metadata, names and suffixes,
 * escapes, values, and histogram buckets. Empty when nothing does.
 */
export function openMetricsErrors(text: string): string[] {
  const errors: string[] = [];
  if (!text.endsWith("# EOF\n")) return ["does not end in # EOF and a newline"];
  const seen = new Set<string>();
  let family = "";
  let type = "";
  let described = new Set<string>();
  let series: SeriesLine[] = [];
  const endOfFamily = () => {
    if (type === "histogram") errors.push(...histogramErrors(family, series));
    series = [];
  };
  for (const line of text.slice(0, -"# EOF\n".length).split("\n").slice(0, -1)) {
    const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword !== undefined && name !== undefined && rest !== undefined) {
      if (name !== family) {
        endOfFamily();
        if (seen.has(name)) errors.push(`family ${name} is not in one piece`);
        seen.add(name);
        family = name;
        type = "";
        described = new Set();
      }
      if (described.has(keyword)) errors.push(`${keyword} of ${name} is repeated`);
      if (series.length > 0) errors.push(`${keyword} of ${name} comes after its samples`);
      described.add(keyword);
      if (keyword === "TYPE") type = rest;
      if (keyword === "TYPE" && !(rest in SUFFIXES)) errors.push(`type ${rest} of ${name} is unknown`);
      if (keyword === "HELP" && !/^(?:[^"\\]|\\[\\"n])*$/.test(rest)) {
        errors.push(`HELP of ${name} is not escaped`);
      }
      continue;
    }
    const sample = parseSeries(line);
    if (!sample) {
      errors.push(`cannot read line ${JSON.stringify(line)}`);
      continue;
    }
    series.push(sample);
    if (!SUFFIXES[type]?.some((suffix) => sample.name === family + suffix)) {
      errors.push(`sample ${sample.name} does not belong to ${type} ${family}`);
    }
    if (type === "counter" && !(sample.value >= 0)) errors.push(`counter ${sample.name} is ${sample.value}`);
    if (new Set(sample.labels.map(([label]) => label)).size < sample.labels.length) {
      errors.push(`a label is repeated in ${line}`);
    }
  }
  endOfFamily();
  return [...errors, ...findDuplicateSeriesSafely(text)];
}

function findDuplicateSeriesSafely(text: string): string[] {
  try {
    return findDuplicateSeries(text).map((series) => `series ${series} is repeated`);
  } catch {
    return []; // the unreadable line has been reported
  }
}

function histogramErrors(family: string, lines: readonly SeriesLine[]): string[] {
  const errors: string[] = [];
  const groups = new Map<string, SeriesLine[]>();
  let previous = "";
  for (const line of lines) {
    const key = seriesKey({ ...line, name: family }, "le");
    if (key !== previous && groups.has(key)) errors.push(`samples of ${key} are not together`);
    groups.set(key, [...groups.get(key) ?? [], line]);
    previous = key;
  }
  for (const [key, group] of groups) {
    const of = (suffix: string) => group.filter(({ name }) => name === family + suffix);
    const buckets = of("_bucket").map(({ labels, value }) => ({
      le: labels.find(([label]) => label === "le")?.[1] ?? "",
      value,
    }));
    const bounds = buckets.map(({ le }) => Number(le.replace("+Inf", "Infinity")));
    const ascending = (values: number[], minimum: number) =>
      values.every((value, i) => i === 0 || value - (values[i - 1] ?? NaN) >= minimum);
    if (!ascending(bounds, Number.MIN_VALUE)) errors.push(`bounds of ${key} do not ascend`);
    if (!ascending(buckets.map(({ value }) => value), 0)) errors.push(`buckets of ${key} are not cumulative`);
    if (buckets.at(-1)?.le !== "+Inf") errors.push(`last bucket of ${key} is not +Inf`);
    if (of("_count").length !== 1 || of("_sum").length !== 1) errors.push(`${key} lacks _count or _sum`);
    if (of("_count")[0]?.value !== buckets.at(-1)?.value) {
      errors.push(`_count of ${key} is not its +Inf bucket`);
    }
    for (const { le } of buckets) {
      if (/^\d+$/.test(le)) errors.push(`le ${le} of ${key} does not read as a float`);
    }
  }
  return errors;
}
