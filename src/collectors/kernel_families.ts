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
  return [...totals].map(([target, total]) => ({ labels: target.labels, counters: total.get("") ?? {} }));
}

/** One row for each subkey that a target has counted anything of, in the order of their numbers. */
export function rowPerSubkey(
  totals: ReadonlyMap<Target, Totals>,
  label: string,
  text: (subkey: string) => string,
): Row[] {
  return [...totals].flatMap(([target, subkeys]) =>
    [...subkeys].sort(([one], [other]) => Number(one) - Number(other)).map(([subkey, counters]) => ({
      labels: withLabel(target.labels, label, text(subkey)),
      counters,
    }))
  );
}

export function counterFamily(description: CounterDescription, rows: readonly Row[]): SimpleFamily {
  const { name, help, series } = description;
  const samples: Sample[] = rows.flatMap((row) =>
    series.map(({ counter, label }) => ({
      labels: label === undefined ? row.labels : withLabel(row.labels, ...label),
      value: Number(row.counters[counter] ?? 0),
    }))
  );
  return { type: "counter", name, help, samples };
}

export function histogramFamily(
  { name, help, prefix }: HistogramDescription,
  rows: readonly Row[],
  resolution: HistogramResolution,
): HistogramFamily {
  const samples: HistogramSample[] = rows.map((row) => ({
    labels: row.labels,
    buckets: cumulativeBuckets(
      (row.counters[`${prefix}_slots`] ?? NO_SLOTS) as readonly number[],
      resolution,
    ),
    sum: Number(row.counters[`${prefix}_ns`] ?? 0) / 1e9,
  }));
  return { type: "histogram", name, help, bounds: histogramBounds(resolution), samples };
}
