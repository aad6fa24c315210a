/**
 * The counters of one kernel map, added up per target. The kernel's values only grow; a container that restarts
 * gets a new cgroup, whose values are added to those its earlier cgroups ended with.
 */
import type { Target, TargetIndex } from "../cgroup/targets.ts";
import type { Programs } from "../native/programs.ts";
import { numbers } from "../native/records.ts";

/** Counters and arrays of counters, by their names in bpf/types.h. */
export type Counters = Record<string, number | number[]>;

/** The part of the eBPF programs that counts are read from. */
export type KernelMaps = Pick<Programs, "readMap" | "deleteEntry">;

/** What the maps are read from and for, in one cycle. */
export interface KernelCycle {
  readonly programs: KernelMaps;
  readonly targets: TargetIndex;
}

interface EntryState {
  readonly target: Target | undefined;
  readonly id: bigint;
  readonly subkey: number;
  readonly counters: Counters;
  /** Whether the cgroup was gone when this was read. */
  readonly ended: boolean;
}

/** Totals by the rest of the key beside the cgroup id: the system call's number, or 0 where there is no rest. */
export type Totals = ReadonlyMap<number, Counters>;

export class KernelTotals {
  readonly #map: string;
  /** What ended cgroups of a target have come to. */
  readonly #ended = new Map<Target, Map<number, Counters>>();
  #entries = new Map<string, EntryState>();
  #ids: ReadonlySet<bigint> = new Set();
  #programs: KernelMaps | undefined;

  /** `map` has the cgroup id as its key, or a record with `cgroup_id` and `number`. */
  constructor(map: string) {
    this.#map = map;
  }

  /** Reads the map and returns what each target's counters have come to. */
  read({ programs, targets }: KernelCycle): ReadonlyMap<Target, Totals> {
    if (programs !== this.#programs) this.#startOver(programs);
    const current = new Set(targets.targets());
    for (const target of this.#ended.keys()) {
      if (!current.has(target)) this.#ended.delete(target);
    }
    const entries = new Map<string, EntryState>();
    for (const { key, value } of programs.readMap(this.#map)) {
      const { id, subkey, bytes } = parseKey(key);
      const name = `${id}/${subkey}`;
      const before = this.#entries.get(name);
      // The kernel's note of a cgroup's names may be missing for want of room: what it counted for, it still does.
      const earlier = before?.target !== undefined && current.has(before.target) ? before.target : undefined;
      const target = targets.resolve(id) ?? earlier;
      const state = { target, id, subkey, counters: numbers(value), ended: !targets.isLive(id) };
      // Processes and sockets may outlive their cgroup's directory for a moment: only what has stopped counting goes.
      if (state.ended && targets.mayForget(id) && isSettled(before, state)) {
        programs.deleteEntry(this.#map, bytes);
        if (target !== undefined) this.#addEnded(target, state);
      } else {
        entries.set(name, state);
      }
    }
    this.#entries = entries;
    this.#ids = new Set([...entries.values()].map((entry) => entry.id));
    return this.#sum(current);
  }

  /** Whether the map holds counts of a cgroup. */
  holds(id: bigint): boolean {
    return this.#ids.has(id);
  }

  #sum(targets: ReadonlySet<Target>): ReadonlyMap<Target, Totals> {
    const totals = new Map<Target, Map<number, Counters>>();
    for (const target of targets) {
      const ended = [...this.#ended.get(target) ?? []];
      totals.set(target, new Map(ended.map(([subkey, counters]) => [subkey, copyOf(counters)])));
    }
    for (const { target, subkey, counters } of this.#entries.values()) {
      const total = target && totals.get(target);
      if (total !== undefined) addTo(total, subkey, counters);
    }
    return totals;
  }

  /** Other programs count from zero: what the earlier ones had counted is kept. */
  #startOver(programs: KernelMaps): void {
    for (const state of this.#entries.values()) {
      if (state.target !== undefined) this.#addEnded(state.target, state);
    }
    this.#entries.clear();
    this.#programs = programs;
  }

  #addEnded(target: Target, { subkey, counters }: EntryState): void {
    const ended = this.#ended.get(target) ?? new Map<number, Counters>();
    this.#ended.set(target, ended);
    addTo(ended, subkey, counters);
  }
}

/** Whether an ended cgroup's counters are the same as a cycle ago, when it had ended already. */
function isSettled(before: EntryState | undefined, now: EntryState): boolean {
  return before !== undefined && before.ended &&
    JSON.stringify(before.counters) === JSON.stringify(now.counters);
}

function addTo(totals: Map<number, Counters>, subkey: number, counters: Counters): void {
  const total = totals.get(subkey);
  if (total === undefined) {
    totals.set(subkey, copyOf(counters));
    return;
  }
  for (const [name, value] of Object.entries(counters)) {
    const sum = total[name];
    if (Array.isArray(value) && Array.isArray(sum)) {
      value.forEach((each, index) => sum[index] = (sum[index] ?? 0) + each);
    } else total[name] = Number(sum ?? 0) + Number(value);
  }
}

function copyOf(counters: Counters): Counters {
  return Object.fromEntries(
    Object.entries(counters).map(([name, value]) => [name, Array.isArray(value) ? [...value] : value]),
  );
}

function parseKey(key: unknown): { id: bigint; subkey: number; bytes: Uint8Array<ArrayBuffer> } {
  const record = key as number | bigint | { cgroup_id: number | bigint; number: number | bigint };
  const words = typeof record === "object" ? [record.cgroup_id, record.number] : [record];
  const bytes = new Uint8Array(new BigUint64Array(words.map(BigInt)).buffer);
  return { id: BigInt(words[0] ?? 0), subkey: Number(words[1] ?? 0), bytes };
}
