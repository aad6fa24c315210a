/** Metric families to exposition text, by prom-client. Nothing else imports prom-client. */

import type {
  Metric,
  OpenMetricsContentType,
  PrometheusContentType,
  Registry as RegistryClass,
} from "prom-client";
// By itself: the whole package also loads a cluster's workers, an HTTP client and timers, 7 MB of them.
import RegistryModule from "prom-client/lib/registry.js";
import type { Family, HistogramFamily, HistogramSample, Labels, Sample, SimpleFamily } from "./family.ts";

const Registry: typeof RegistryClass = RegistryModule;

/** The Prometheus text format 0.0.4, or OpenMetrics text 1.0.0. */
export type ExpositionFormat = "prometheus" | "openmetrics";

/** The value of `Content-Type` for each format. */
export const CONTENT_TYPES = {
  prometheus: Registry.PROMETHEUS_CONTENT_TYPE,
  openmetrics: Registry.OPENMETRICS_CONTENT_TYPE,
} as const satisfies Record<ExpositionFormat, string>;

/** One line of exposition, as prom-client's registry reads it from a metric. */
interface Line {
  readonly value: number;
  /** Labels of this line only, written first. */
  readonly labels: Labels;
  /** Labels of the whole series; prom-client formats each such object once and remembers the text. */
  readonly sharedLabels: Labels;
  /** Where it is not the family's own name. */
  readonly metricName?: string;
}

/** The part of a metric that prom-client's registry uses when it renders. */
interface RenderedMetric {
  readonly name: string;
  get(): Promise<{ name: string; help: string; type: Family["type"]; values: Line[] }>;
}

/** A metric whose samples are had some at a time: each `get()` has those that follow the last ones. */
interface MetricInPieces extends RenderedMetric {
  readonly pieces: number;
}

const NO_LABELS: Labels = Object.freeze({});

/**
 * About as many lines are rendered at a time: what is made of more on the way lives long enough to be copied by the
 * collector of garbage, and takes more memory than all else that the agent holds.
 */
const LINES_AT_A_TIME = 64;

/**
 * Makes the exposition of `families` piece by piece, they and their samples in the order given. A family without samples
 * is left out. In OpenMetrics a counter family is named without `_total`, its samples with it.
 *
 * @throws {Error} If two families have the same name.
 */
export async function* renderFamilies(
  families: readonly Family[],
  format: ExpositionFormat,
): AsyncGenerator<string> {
  const registry = new Registry<PrometheusContentType | OpenMetricsContentType>();
  registry.setContentType(CONTENT_TYPES[format]);
  let isFirst = true;
  for (const family of families) {
    if (family.samples.length === 0) continue;
    // In the older format an empty line is between two families.
    if (format === "prometheus" && !isFirst) yield "\n";
    isFirst = false;
    yield* renderFamily(family, format, registry);
  }
  if (format === "openmetrics") yield "# EOF\n";
}

async function* renderFamily(
  family: Family,
  format: ExpositionFormat,
  registry: RegistryClass<PrometheusContentType | OpenMetricsContentType>,
): AsyncGenerator<string> {
  const metric = metricInPieces(family, format);
  // Its types know only its own classes, which keep every series; rendering asks no more than this.
  registry.registerMetric(metric as unknown as Metric);
  for (let piece = 0; piece < metric.pieces; piece++) {
    const text = await registry.getSingleMetricAsString(metric.name);
    yield `${piece === 0 ? text : withoutHeader(text)}\n`;
  }
}

/** Without the lines of HELP and TYPE. */
function withoutHeader(text: string): string {
  return text.slice(text.indexOf("\n", text.indexOf("\n") + 1) + 1);
}

function metricInPieces(family: Family, format: ExpositionFormat): MetricInPieces {
  const { type, samples } = family;
  // OpenMetrics wants quotes in HELP escaped, which prom-client does not do and would not let through.
  const help = format === "openmetrics" ? family.help.replaceAll('"', "'") : family.help;
  // prom-client puts it back behind the samples' names.
  const name = format === "openmetrics" && type === "counter"
    ? family.name.replace(/_total$/, "")
    : family.name;
  const atATime = type === "histogram" ? Math.ceil(LINES_AT_A_TIME / family.bounds.length) : LINES_AT_A_TIME;
  const linesOf = type === "histogram" ? histogramLines(family) : simpleLines(family);
  let next = 0;
  return {
    name,
    pieces: Math.ceil(samples.length / atATime),
    get() {
      const [from, to] = [next, next += atATime];
      return Promise.resolve({ name, help, type, values: linesOf(from, to) });
    },
  };
}

/** The lines of some of the samples, from one up to before another. */
type LinesOf = (from: number, to: number) => Line[];

function simpleLines({ samples }: SimpleFamily): LinesOf {
  return (from, to) => samples.slice(from, to).map(lineOf);
}

function lineOf({ labels, value }: Sample): Line {
  return { value, labels: NO_LABELS, sharedLabels: labels };
}

function histogramLines({ name, bounds, samples }: HistogramFamily): LinesOf {
  const names = { bucket: `${name}_bucket`, sum: `${name}_sum`, count: `${name}_count` };
  const bucketLabels = bounds.map((bound) => ({ le: formatBound(bound) }));
  return (from, to) => {
    const lines: Line[] = [];
    for (const sample of samples.slice(from, to)) addLines(lines, sample, names, bucketLabels);
    return lines;
  };
}

function addLines(
  lines: Line[],
  { labels: sharedLabels, buckets, sum }: HistogramSample,
  names: { readonly bucket: string; readonly sum: string; readonly count: string },
  bucketLabels: readonly Labels[],
): void {
  let value = 0;
  for (const [index, labels] of bucketLabels.entries()) {
    value = buckets[index] ?? 0;
    lines.push({ metricName: names.bucket, labels, sharedLabels, value });
  }
  lines.push({ metricName: names.sum, labels: NO_LABELS, sharedLabels, value: sum });
  lines.push({ metricName: names.count, labels: NO_LABELS, sharedLabels, value });
}

/**
 * Returns a bound as OpenMetrics' canonical number, which is also what Prometheus 3 rewrites every `le` to:
 * as Go's %g, with ".0" where that would read as an integer. In both formats, because a Prometheus 2 that
 * changes its scrape protocol would otherwise see the buckets as new series.
 */
function formatBound(bound: number): string {
  if (bound === Infinity) return "+Inf";
  const [digits = "", exponent = "0"] = bound.toExponential().split("e");
  const power = Number(exponent);
  if (bound !== 0 && (power < -4 || power >= 6)) {
    return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  return Number.isInteger(bound) ? `${bound}.0` : `${bound}`;
}
