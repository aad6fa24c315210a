/** A collector over files of the containers' cgroups, described by tables of its families. */
import type { Target } from "../cgroup/targets.ts";
import type { Family, Sample } from "../metrics/family.ts";
import type { Collector, Cycle } from "./collector.ts";
import { type Count, type Counters, TargetTotals } from "./target_totals.ts";

/** What one cgroup's files say; what they do not say is not in it, which is not the same as zero. */
export interface Reading {
  /** Counters by subkey: a device, or `""`. */
  readonly counters?: ReadonlyMap<string, Counters>;
  readonly gauges?: Readonly<Record<string, number>>;
}

export interface CgroupFamily {
  readonly name: string;
  readonly help: string;
  /** The counter's or gauge's name in a `Reading`. */
  readonly value: string;
}

export interface CgroupCollectorDescription {
  readonly name: string;
  /** The files it reads of every container's cgroup. */
  readonly files: readonly string[];
  readonly read: (file: (name: string) => string | undefined) => Reading;
  readonly counters: readonly CgroupFamily[];
  readonly gauges: readonly CgroupFamily[];
  /** The label that tells subkeys apart, and its value for one. @default none */
  readonly subkeyLabel?: { readonly name: string; readonly value: (subkey: string) => string };
}

export function cgroupCollector(description: CgroupCollectorDescription): Collector {
  const totals = new TargetTotals();
  let readings = new Map<bigint, { target: Target; reading: Reading }>();

  function read({ targets, files }: Cycle): void {
    const next: typeof readings = new Map();
    for (const { id, target } of targets.live()) {
      if (target === undefined) continue;
      const reading = description.read((name) => files.text(id, name));
      // A cgroup that ended between listing and reading says nothing now: what it said last stands.
      next.set(id, { target, reading: { ...reading, counters: merged(readings.get(id)?.reading, reading) } });
    }
    for (const [id, { target, reading }] of readings) {
      if (!next.has(id)) { for (const count of countsOf(target, reading)) totals.end(count); }
    }
    readings = next;
  }

  function counterSamples({ value }: CgroupFamily, { targets }: Cycle): Sample[] {
    const counts = [...readings.values()].flatMap(({ target, reading }) => countsOf(target, reading));
    const label = description.subkeyLabel;
    return [...totals.sum(targets.targets(), counts)].flatMap(([target, total]) =>
      [...total].flatMap(([subkey, counters]) => {
        if (counters[value] === undefined) return [];
        const labels = label === undefined
          ? target.labels
          : { ...target.labels, [label.name]: label.value(subkey) };
        return [{ labels, value: Number(counters[value]) }];
      })
    );
  }

  function gaugeSamples({ value }: CgroupFamily): Sample[] {
    const sums = new Map<Target, number>();
    for (const { target, reading } of readings.values()) {
      const gauge = reading.gauges?.[value];
      if (gauge !== undefined) sums.set(target, (sums.get(target) ?? 0) + gauge);
    }
    return [...sums].map(([target, sum]) => ({ labels: target.labels, value: sum }));
  }

  return {
    name: description.name,
    files: description.files,
    collect(cycle: Cycle): Family[] {
      read(cycle);
      return [
        ...description.counters.map((family) => ({
          type: "counter" as const,
          name: family.name,
          help: family.help,
          samples: counterSamples(family, cycle),
        })),
        ...description.gauges.map((family) => ({
          type: "gauge" as const,
          name: family.name,
          help: family.help,
          samples: gaugeSamples(family),
        })),
      ];
    },
  };
}

function merged(before: Reading | undefined, now: Reading): ReadonlyMap<string, Counters> {
  const counters = new Map(before?.counters ?? []);
  for (const [subkey, each] of now.counters ?? []) counters.set(subkey, { ...counters.get(subkey), ...each });
  return counters;
}

function countsOf(target: Target, reading: Reading): Count[] {
  return [...reading.counters ?? []].map(([subkey, counters]) => ({ target, subkey, counters }));
}
