/** Metric families to exposition text, by prom-client. Nothing else imports prom-client. */

import type {
  Metric,
  OpenMetricsContentType,
  PrometheusContentType,
  Registry as RegistryClass,
} from "prom-client";
// By itself: the whole package also loads a cluster's workers, an HTTP client and timers, 7 MB of them.
import RegistryModule from "prom-client/lib/registry.js";
import type { Family, HistogramFamily, Labels, SimpleFamily } from "./family.ts";

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

const NO_LABELS: Labels = Object.freeze({});

/**
 * Returns the exposition of `families`, they and their samples in the order given. A family without samples
 * is left out. In OpenMetrics a counter family is named without `_total`, its samples with it.
 *
 * @throws {Error} If two families have the same name.
 */
export async function renderFamilies(
  families: readonly Family[],
  format: ExpositionFormat,
): Promise<string> {
  const registry = new Registry<PrometheusContentType | OpenMetricsContentType>();
  registry.setContentType(CONTENT_TYPES[format]);
  const metrics = families.filter((family) => family.samples.length > 0)
    .map((family) => renderedMetric(family, format));
  // Its types know only its own classes, which keep every series; rendering asks no more than this.
  for (const metric of metrics) registry.registerMetric(metric as unknown as Metric);
  const texts: string[] = [];
  // One after the other: all at once, what is made on the way takes more memory than all else that the agent holds.
  for (const { name } of metrics) texts.push(await registry.getSingleMetricAsString(name));
  if (format === "openmetrics") return [...texts, "# EOF\n"].join("\n");
  return texts.map((text) => `${text}\n`).join("\n");
}

function renderedMetric(family: Family, format: ExpositionFormat): RenderedMetric {
  const { type } = family;
  // OpenMetrics wants quotes in HELP escaped, which prom-client does not do and would not let through.
  const help = format === "openmetrics" ? family.help.replaceAll('"', "'") : family.help;
  // prom-client puts it back behind the samples' names.
  const name = format === "openmetrics" && type === "counter"
    ? family.name.replace(/_total$/, "")
    : family.name;
  return {
    name,
    get() {
      const values = type === "histogram" ? histogramLines(family) : simpleLines(family);
      return Promise.resolve({ name, help, type, values });
    },
  };
}

function simpleLines(family: SimpleFamily): Line[] {
  return family.samples.map(({ labels, value }) => ({ value, labels: NO_LABELS, sharedLabels: labels }));
}

function histogramLines(family: HistogramFamily): Line[] {
  const names = {
    bucket: `${family.name}_bucket`,
    sum: `${family.name}_sum`,
    count: `${family.name}_count`,
  };
  const bounds = family.bounds.map((bound) => ({ le: formatBound(bound) }));
  const lines: Line[] = [];
  for (const { labels: sharedLabels, buckets, sum } of family.samples) {
    bounds.forEach((labels, i) =>
      lines.push({ metricName: names.bucket, labels, sharedLabels, value: buckets[i] ?? 0 })
    );
    lines.push({ metricName: names.sum, labels: NO_LABELS, sharedLabels, value: sum });
    lines.push({ metricName: names.count, labels: NO_LABELS, sharedLabels, value: buckets.at(-1) ?? 0 });
  }
  return lines;
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
