/** A collector over one kernel map, described by tables of its families. */
import { counter, type Descriptor, histogram, POD_LABELS } from "../metrics/descriptor.ts";
import type { Family } from "../metrics/family.ts";
import type { HistogramResolution } from "../metrics/histogram.ts";
import type { SignalName } from "../native/signals.ts";
import type { Collector, Cycle } from "./collector.ts";
import {
  type CounterDescription,
  counterFamily,
  type HistogramDescription,
  histogramFamily,
  rowPerSubkey,
  rowPerTarget,
} from "./kernel_families.ts";
import { KernelTotals } from "./kernel_totals.ts";

export interface KernelCollectorDescription {
  readonly name: string;
  readonly map: string;
  /** The signals its programs deliver. */
  readonly signals: readonly SignalName[];
  readonly counters: readonly CounterDescription[];
  readonly histograms: readonly HistogramDescription[];
  /** The label that tells a target's subkeys apart, which then have series from their first count on. @default none */
  readonly subkeyLabel?: string;
}

/** A collector that needs no files. */
export interface KernelCollector extends Collector {
  collect(cycle: Pick<Cycle, "targets" | "programs">): readonly Family[];
}

/** What a collector serves, each with the signal that it is from. */
export function kernelDescriptors(
  { counters, histograms, subkeyLabel }: KernelCollectorDescription,
): (Descriptor & { readonly signal: SignalName })[] {
  const labels = subkeyLabel === undefined ? POD_LABELS : [...POD_LABELS, subkeyLabel];
  return [
    ...counters.map(({ name, help, signal, series }) => ({
      ...counter(name, help, ...labels, ...series[0]?.label?.slice(0, 1) ?? []),
      signal,
    })),
    ...histograms.map(({ name, help, signal }) => ({ ...histogram(name, help, ...labels), signal })),
  ];
}

/**
 * What the collectors of kernel maps have in common. `subkeyText` gives the label's value for a subkey, which is
 * itself by default.
 */
export function kernelCollector(
  description: KernelCollectorDescription,
  resolution: HistogramResolution,
  subkeyText: (subkey: string) => string = String,
): KernelCollector {
  const totals = new KernelTotals(description.map);
  const { subkeyLabel } = description;
  return {
    name: description.name,
    holds: (id) => totals.holds(id),
    collect({ programs, targets }): Family[] {
      if (programs === undefined) return [];
      const found = totals.read({ programs, targets });
      const rows = subkeyLabel === undefined
        ? rowPerTarget(found)
        : rowPerSubkey(found, subkeyLabel, subkeyText);
      const delivered = ({ signal }: { signal: SignalName }) => programs.delivers(signal);
      return [
        ...description.counters.filter(delivered).map((each) => counterFamily(each, rows)),
        ...description.histograms.filter(delivered).map((each) => histogramFamily(each, rows, resolution)),
      ];
    },
  };
}
