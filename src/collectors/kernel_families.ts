/** Families over the counters of kernel maps, each described by a row of a collector's table. */
import type { Target } from "../cgroup/targets.ts";
import type { HistogramFamily, HistogramSample, Labels, Sample, SimpleFamily } from "../metrics/family.ts";
import { cumulativeBuckets, histogramBounds, type HistogramResolution, SLOTS } from "../metrics/histogram.ts";
import { withLabel } from "../metrics/labels.ts";
import type { SignalName } from "../native/signals.ts";
import type { Counters, Totals } from "./target_totals.ts";

/** A counter family made of one or more of a map's counters. */
export interface CounterDescription {
  readonly name: string;
  readonly help: string;
  /** The family is absent, not zero, where the kernel cannot deliver this. */
  readonly signal: SignalName;
  /** The counter's name in bpf/types.h, with the label that sets its series apart. */
  readonly series: readonly {
    readonly counter: string;
    readonly label?: readonly [name: string, value: string];
  }[];
}

/** A histogram family: `<prefix>_slots` and `<prefix>_ns` in bpf/types.h. */
export interface HistogramDescription {
  readonly name: string;
  readonly help: string;
  readonly signal: SignalName;
  readonly prefix: string;
}

/** A target's counters, or those of one of its subkeys. */
export interface Row {
  /** Shared by the families. */
  readonly labels: Labels;
  readonly counters: Counters;
}

const NO_SLOTS: readonly number[] = new Array(SLOTS).fill(0);

/** One row a target; counters of a target that has counted nothing yet are zero, so that a first event shows as one. */
export function rowPerTarget(totals: ReadonlyMap<Target, Totals>): Row[] {
  const rows: Row[] = [];
  for (const [target, total] of totals) rows.push({ labels: target.labels, counters: total.get("") ?? {} });
  return rows;
}

/** One row for each subkey that a target has counted anything of, in the order of their numbers. */
export function rowPerSubkey(
  totals: ReadonlyMap<Target, Totals>,
  label: string,
  text: (subkey: string) => string,
): Row[] {
  const rows: Row[] = [];
  for (const [target, subkeys] of totals) {
    for (const [subkey, counters] of [...subkeys].sort(byNumber)) {
      rows.push({ labels: withLabel(target.labels, label, text(subkey)), counters });
    }
  }
  return rows;
}

function byNumber([one]: [string, Counters], [other]: [string, Counters]): number {
  return Number(one) - Number(other);
}

export function counterFamily(description: CounterDescription, rows: readonly Row[]): SimpleFamily {
  const { name, help, series } = description;
  const samples: Sample[] = [];
  for (const { labels, counters } of rows) {
    for (const { counter, label } of series) {
      samples.push({
        labels: label === undefined ? labels : withLabel(labels, ...label),
        value: Number(counters[counter] ?? 0),
      });
    }
  }
  return { type: "counter", name, help, samples };
}

export function histogramFamily(
  { name, help, prefix }: HistogramDescription,
  rows: readonly Row[],
  resolution: HistogramResolution,
): HistogramFamily {
  const [slots, sum] = [`${prefix}_slots`, `${prefix}_ns`];
  const samples: HistogramSample[] = [];
  for (const { labels, counters } of rows) {
    samples.push({
      labels,
      buckets: cumulativeBuckets((counters[slots] ?? NO_SLOTS) as readonly number[], resolution),
      sum: Number(counters[sum] ?? 0) / 1e9,
    });
  }
  return { type: "histogram", name, help, bounds: histogramBounds(resolution), samples };
}
