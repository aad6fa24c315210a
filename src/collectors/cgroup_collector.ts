/** A collector over files of the containers' cgroups, described by tables of its families. */
import type { Target } from "../cgroup/targets.ts";
import { counter, type Descriptor, gauge, POD_LABELS } from "../metrics/descriptor.ts";
import type { Labels, Sample, SimpleFamily } from "../metrics/family.ts";
import { withLabel } from "../metrics/labels.ts";
import type { Collector, Cycle } from "./collector.ts";
import { addTo, type Counters, sumOf, TargetTotals } from "./target_totals.ts";

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
  collect(cycle: CgroupCycle): SimpleFamily[];
}

/** What this collector works with in one cycle. */
export interface CgroupCycle {
  readonly targets: Cycle["targets"];
  readonly files: Pick<Cycle["files"], "text">;
}

/** A file's text; `undefined` where there is none. */
type Text = string | undefined;

type CounterMap = ReadonlyMap<string, Counters>;

/** What is known of a cgroup, made again only when one of its files has changed. */
interface CgroupState {
  readonly target: Target;
  readonly texts: readonly Text[];
  readonly counters: CounterMap;
  readonly gauges: Counters;
}

/** What has one series in each family. */
interface Row {
  /** Shared by the families. */
  readonly labels: Labels;
  readonly values: Counters;
}

const NONE: CounterMap = new Map();

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

  function read({ targets, files }: CgroupCycle): void {
    const next: typeof cgroups = new Map();
    for (const { id, target } of targets.live()) {
      if (target === undefined) continue;
      const last = cgroups.get(id);
      const texts: Text[] = [];
      for (const name of description.files) texts.push(files.text(id, name));
      const isSame = last?.target === target && areSame(texts, last.texts);
      next.set(id, isSame ? last : stateOf(target, texts, last));
    }
    for (const [id, { target, counters }] of cgroups) {
      if (!next.has(id)) {
        for (const [subkey, each] of counters) totals.end({ target, subkey, counters: each });
      }
    }
    cgroups = next;
  }

  function stateOf(target: Target, texts: readonly Text[], last: CgroupState | undefined): CgroupState {
    const reading = description.read((name) => texts[description.files.indexOf(name)]);
    const { counters = NONE, gauges = {} } = reading;
    const before = last?.counters ?? NONE;
    for (const [subkey, each] of before) {
      // Another device that got the number of one that is gone.
      if (subkey !== "" && fell(each, counters.get(subkey))) totals.end({ target, subkey, counters: each });
    }
    // A cgroup that ended between listing and reading says nothing now: what it said last stands.
    return { target, texts, counters: merged(before, counters), gauges };
  }

  /** What has been counted for each series that there may be. */
  function counterRows(targets: readonly Target[], states: ReadonlyMap<Target, CgroupState[]>): Row[] {
    totals.keepOnly(targets);
    const rows: Row[] = [];
    const names = new Map<string, string>();
    for (const target of targets) {
      const total = totals.total(target, (states.get(target) ?? []).map(countersOf));
      if (subkeyLabel === undefined) {
        for (const values of total.values()) rows.push({ labels: target.labels, values });
      } else rows.push(...namedRows(target, total, subkeyLabel, names));
    }
    return rows;
  }

  /** Subkeys of one target that are called the same are one. */
  function namedRows(
    { labels }: Target,
    total: CounterMap,
    label: string,
    names: Map<string, string>,
  ): Row[] {
    const sums = new Map<string, Counters>();
    for (const [subkey, counters] of total) {
      const text = names.get(subkey) ?? subkeyText(subkey);
      names.set(subkey, text);
      addTo(sums, text, counters);
    }
    return Array.from(sums, ([text, values]) => ({ labels: withLabel(labels, label, text), values }));
  }

  return {
    name: description.name,
    files: description.files,
    collect(cycle) {
      read(cycle);
      const states = Map.groupBy(cgroups.values(), targetOf);
      const counters = description.counters.length === 0 ? [] : counterRows(cycle.targets.targets(), states);
      const gauges = description.gauges.length === 0 ? [] : gaugeRows(states);
      return [
        ...description.counters.map((family) => familyOf("counter", family, counters)),
        ...description.gauges.map((family) => familyOf("gauge", family, gauges)),
      ];
    },
  };
}

function areSame(texts: readonly Text[], others: readonly Text[]): boolean {
  for (const [index, text] of texts.entries()) {
    if (text !== others[index]) return false;
  }
  return true;
}

function targetOf({ target }: CgroupState): Target {
  return target;
}

function countersOf({ counters }: CgroupState): CounterMap {
  return counters;
}

/** Instances of a container that overlap for a moment are added up. */
function gaugeRows(states: ReadonlyMap<Target, readonly CgroupState[]>): Row[] {
  return Array.from(states, ([{ labels }, [first, ...others]]) => ({
    labels,
    values: others.reduce((sum, { gauges }) => sumOf(sum, gauges), first?.gauges ?? {}),
  }));
}

function familyOf(
  type: SimpleFamily["type"],
  { name, help, value }: CgroupFamily,
  rows: readonly Row[],
): SimpleFamily {
  const samples: Sample[] = [];
  for (const { labels, values } of rows) {
    const sample = values[value];
    if (sample !== undefined) samples.push({ labels, value: Number(sample) });
  }
  return { type, name, help, samples };
}

function fell(before: Counters, now: Counters | undefined): boolean {
  return now !== undefined && Object.entries(now).some(([name, value]) => value < (before[name] ?? 0));
}

/** What is said now, and of what is not what was said before. */
function merged(before: CounterMap, now: CounterMap): CounterMap {
  if (isWhole(before, now)) return now;
  const counters = new Map(before);
  for (const [subkey, each] of now) counters.set(subkey, { ...counters.get(subkey), ...each });
  return counters;
}

/** Whether everything that was said before is said now. */
function isWhole(before: CounterMap, now: CounterMap): boolean {
  for (const [subkey, counters] of before) {
    const each = now.get(subkey);
    if (each === undefined || !Object.keys(counters).every((name) => name in each)) return false;
  }
  return true;
}
