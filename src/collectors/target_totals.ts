/**
 * What the cgroups of a target have come to. A container that restarts gets a new cgroup, whose counters begin at
 * zero: those that its earlier cgroups ended with are kept and added.
 */
import type { Target } from "../cgroup/targets.ts";

/** Counters and arrays of counters, by name. */
export type Counters = Readonly<Record<string, number | readonly number[]>>;

/** Counters by what sets them apart within a target: a device, a system call's number, or `""`. */
export type Totals = ReadonlyMap<string, Counters>;

/** What one cgroup has counted so far. */
export interface Count {
  readonly target: Target | undefined;
  readonly subkey: string;
  readonly counters: Counters;
}

const NOTHING: Totals = new Map();

export class TargetTotals {
  readonly #ended = new Map<Target, Map<string, Counters>>();

  /** Keeps what a cgroup ended with. */
  end({ target, subkey, counters }: Count): void {
    if (target === undefined) return;
    const ended = this.#ended.get(target) ?? new Map<string, Counters>();
    this.#ended.set(target, ended);
    addTo(ended, subkey, counters);
  }

  /** Forgets what ended of all targets but these. */
  keepOnly(targets: readonly Target[]): void {
    if (this.#ended.size === 0) return;
    const kept = new Set(targets);
    for (const target of this.#ended.keys()) {
      if (!kept.has(target)) this.#ended.delete(target);
    }
  }

  /** What a target has come to, of which `counting` goes on. */
  total(target: Target, counting: readonly Totals[]): Totals {
    const ended = this.#ended.get(target);
    const [first = NOTHING, ...others] = ended === undefined ? counting : [ended, ...counting];
    if (others.length === 0) return first;
    const total = new Map(first);
    for (const other of others) {
      for (const [subkey, counters] of other) addTo(total, subkey, counters);
    }
    return total;
  }

  /** The totals of these targets, of which `counts` are still counting; what ended of all others is forgotten. */
  sum(targets: readonly Target[], counts: Iterable<Count>): ReadonlyMap<Target, Totals> {
    this.keepOnly(targets);
    const counting = new Map<Target, Map<string, Counters>>();
    for (const { target, subkey, counters } of counts) {
      if (target === undefined) continue;
      const own = counting.get(target) ?? new Map<string, Counters>();
      counting.set(target, own);
      addTo(own, subkey, counters);
    }
    const sums = new Map<Target, Totals>();
    for (const target of targets) {
      const own = counting.get(target);
      sums.set(target, this.total(target, own === undefined ? [] : [own]));
    }
    return sums;
  }
}

/** Adds counters to those of a subkey. */
export function addTo(totals: Map<string, Counters>, subkey: string, counters: Counters): void {
  const total = totals.get(subkey);
  totals.set(subkey, total === undefined ? counters : sumOf(total, counters));
}

/** Both added up, as new ones: counters are shared by whom they were given to, and never changed. */
export function sumOf(one: Counters, other: Counters): Counters {
  const sum = { ...one };
  for (const [name, value] of Object.entries(other)) {
    const before = one[name];
    sum[name] = Array.isArray(value) && Array.isArray(before)
      ? Array.from(value, (each, index) => each + (before[index] ?? 0))
      : Number(before ?? 0) + Number(value);
  }
  return sum;
}
