/** A collector over one kernel map, described by tables of its families. */
import type { Family } from "../metrics/family.ts";
import type { HistogramResolution } from "../metrics/histogram.ts";
import type { SignalName } from "../native/signals.ts";
import type { Collector, Cycle } from "./collector.ts";
import {
  type CounterDescription,
  counterFamily,
  type HistogramDescription,
  histogramFamily,
  type Row,
  rowPerTarget,
} from "./kernel_families.ts";
import { KernelTotals } from "./kernel_totals.ts";
import type { Totals } from "./target_totals.ts";
import type { Target } from "../cgroup/targets.ts";

export interface KernelCollectorDescription {
  readonly name: string;
  readonly map: string;
  /** The signals its programs deliver. */
  readonly signals: readonly SignalName[];
  readonly counters: readonly CounterDescription[];
  readonly histograms: readonly HistogramDescription[];
  /** @default one row a target */
  readonly rows?: (totals: ReadonlyMap<Target, Totals>) => Row[];
}

/** A collector that needs no files. */
export interface KernelCollector extends Collector {
  collect(cycle: Pick<Cycle, "targets" | "programs">): readonly Family[];
}

/** What the collectors of kernel maps have in common. */
export function kernelCollector(
  description: KernelCollectorDescription,
  resolution: HistogramResolution,
): KernelCollector {
  const totals = new KernelTotals(description.map);
  return {
    name: description.name,
    holds: (id) => totals.holds(id),
    collect({ programs, targets }): Family[] {
      if (programs === undefined) return [];
      const rows = (description.rows ?? rowPerTarget)(totals.read({ programs, targets }));
      const delivered = ({ signal }: { signal: SignalName }) => programs.delivers(signal);
      return [
        ...description.counters.filter(delivered).map((counter) => counterFamily(counter, rows)),
        ...description.histograms.filter(delivered).map((each) => histogramFamily(each, rows, resolution)),
      ];
    },
  };
}
