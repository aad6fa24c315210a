/** A collector over files of the containers' cgroups, described by tables of its families. */
import type { Target } from "../cgroup/targets.ts";
import { counter, type Descriptor, gauge, POD_LABELS } from "../metrics/descriptor.ts";
import type { Labels, Sample, SimpleFamily } from "../metrics/family.ts";
import type { Collector, Cycle } from "./collector.ts";
import { withLabel } from "../metrics/labels.ts";
import { type Count, type Counters, sumOf, TargetTotals } from "./target_totals.ts";

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
  /** The label that tells subkeys apart. @default none */
  readonly subkeyLabel?: string;
}

/** A collector that needs no eBPF programs. */
export interface CgroupCollector extends Collector {
  collect(cycle: Pick<Cycle, "targets" | "files">): SimpleFamily[];
}

interface Row {
  /** Shared by the families. */
  readonly labels: Labels;
  readonly counters: Counters;
}

/** A file's text; `undefined` where there is none. */
type Text = string | undefined;

/** What is known of a cgroup, made again only when one of its files has changed. */
interface CgroupState {
  readonly target: Target;
  readonly texts: readonly Text[];
  readonly reading: Reading;
}

/** What a collector serves. */
export function cgroupDescriptors(
  { counters, gauges, subkeyLabel }: CgroupCollectorDescription,
): Descriptor[] {
  const labels = subkeyLabel === undefined ? POD_LABELS : [...POD_LABELS, subkeyLabel];
  return [
    ...counters.map(({ name, help }) => counter(name, help, ...labels)),
    ...gauges.map(({ name, help }) => gauge(name, help, ...POD_LABELS)),
  ];
}

/** `subkeyText`, asked for once a cycle, gives the label's value for a subkey, which is itself by default. */
export function cgroupCollector(
  description: CgroupCollectorDescription,
  subkeyText: (subkey: string) => string = String,
): CgroupCollector {
  const { subkeyLabel } = description;
  const totals = new TargetTotals();
  let cgroups = new Map<bigint, CgroupState>();

  function read({ targets, files }: Pick<Cycle, "targets" | "files">): void {
    const next: typeof cgroups = new Map();
    for (const { id, target } of targets.live()) {
      if (target === undefined) continue;
      const last = cgroups.get(id);
      const texts = description.files.map((name) => files.text(id, name));
      const isSame = last?.target === target && texts.every((text, index) => text === last.texts[index]);
      next.set(id, isSame ? last : stateOf(target, texts, last));
    }
    for (const [id, { target, reading }] of cgroups) {
      if (!next.has(id)) { for (const count of countsOf(target, reading)) totals.end(count); }
    }
    cgroups = next;
  }

  function stateOf(target: Target, texts: readonly Text[], before: CgroupState | undefined): CgroupState {
    const last = before?.reading.counters ?? new Map<string, Counters>();
    const reading = description.read((name) => texts[description.files.indexOf(name)]);
    for (const [subkey, counters] of reading.counters ?? []) {
      const earlier = last.get(subkey);
      // Another device that got the number of one that is gone.
      if (subkey !== "" && fell(earlier, counters)) totals.end({ target, subkey, counters: earlier });
    }
    // A cgroup that ended between listing and reading says nothing now: what it said last stands.
    return { target, texts, reading: { ...reading, counters: merged(last, reading) } };
  }

  /** What has been counted for each series that there may be; those of one target that are called the same are one. */
  function counterRows({ targets }: Pick<Cycle, "targets">): Row[] {
    const counts = [...cgroups.values()].flatMap(({ target, reading }) => countsOf(target, reading));
    const names = new Map<string, string>();
    return [...totals.sum(targets.targets(), counts)].flatMap(([target, total]) => {
      if (subkeyLabel === undefined) {
        return [...total.values()].map((counters) => ({ labels: target.labels, counters }));
      }
      const rows = new Map<string, Row>();
      for (const [subkey, counters] of total) {
        const text = names.get(subkey) ?? subkeyText(subkey);
        names.set(subkey, text);
        const row = rows.get(text) ?? { labels: withLabel(target.labels, subkeyLabel, text), counters: {} };
        rows.set(text, { ...row, counters: sumOf(row.counters, counters) });
      }
      return [...rows.values()];
    });
  }

  function gaugeSamples({ value }: CgroupFamily): Sample[] {
    const sums = new Map<Target, number>();
    for (const { target, reading } of cgroups.values()) {
      const gauge = reading.gauges?.[value];
      if (gauge !== undefined) sums.set(target, (sums.get(target) ?? 0) + gauge);
    }
    return [...sums].map(([target, sum]) => ({ labels: target.labels, value: sum }));
  }

  return {
    name: description.name,
    files: description.files,
    collect(cycle) {
      read(cycle);
      const rows = description.counters.length === 0 ? [] : counterRows(cycle);
      return [
        ...description.counters.map((family) => ({
          type: "counter" as const,
          name: family.name,
          help: family.help,
          samples: counterSamples(family, rows),
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

function counterSamples({ value }: CgroupFamily, rows: readonly Row[]): Sample[] {
  return rows.flatMap(({ labels, counters }) =>
    counters[value] === undefined ? [] : [{ labels, value: Number(counters[value]) }]
  );
}

function fell(before: Counters | undefined, now: Counters): before is Counters {
  return before !== undefined && Object.entries(now).some(([name, value]) => value < (before[name] ?? 0));
}

function merged(before: ReadonlyMap<string, Counters>, now: Reading): ReadonlyMap<string, Counters> {
  const counters = new Map(before);
  for (const [subkey, each] of now.counters ?? []) counters.set(subkey, { ...counters.get(subkey), ...each });
  return counters;
}

function countsOf(target: Target, reading: Reading): Count[] {
  return [...reading.counters ?? []].map(([subkey, counters]) => ({ target, subkey, counters }));
}
