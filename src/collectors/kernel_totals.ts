/**
 * The counters of one kernel map, added up per target. The kernel's values only grow; a container that restarts
 * gets a new cgroup, whose values are added to those its earlier cgroups ended with.
 */
import type { Target, TargetIndex } from "../cgroup/targets.ts";
import type { Programs } from "../native/programs.ts";
import { numbers } from "../native/records.ts";
import { type Count, TargetTotals, type Totals } from "./target_totals.ts";

/** The part of the eBPF programs that counts are read from. */
export type KernelMaps = Pick<Programs, "readMap" | "deleteEntry">;

/** What the maps are read from and for, in one cycle. */
export interface KernelCycle {
  readonly programs: KernelMaps;
  readonly targets: TargetIndex;
}

interface EntryState extends Count {
  readonly id: bigint;
  /** Whether the cgroup was gone when this was read. */
  readonly ended: boolean;
}

export class KernelTotals {
  readonly #map: string;
  readonly #totals = new TargetTotals();
  #entries = new Map<string, EntryState>();
  #ids: ReadonlySet<bigint> = new Set();
  #programs: KernelMaps | undefined;
  #targets: readonly Target[] = [];
  #isCurrent: ReadonlySet<Target> = new Set();

  /** `map` has the cgroup id as its key, or a record with `cgroup_id` and `number`, which is then the subkey. */
  constructor(map: string) {
    this.#map = map;
  }

  /** Reads the map and returns what each target's counters have come to. */
  read({ programs, targets }: KernelCycle): ReadonlyMap<Target, Totals> {
    if (programs !== this.#programs) this.#startOver(programs);
    const current = targets.targets();
    if (current !== this.#targets) this.#isCurrent = new Set(current);
    this.#targets = current;
    const entries = new Map<string, EntryState>();
    for (const { key, value } of programs.readMap(this.#map)) {
      const { id, subkey } = parseKey(key);
      const name = `${id}/${subkey}`;
      const before = this.#entries.get(name);
      // The kernel's note of a cgroup's names may be missing for want of room: what it counted for, it still does.
      const earlier = before?.target !== undefined && this.#isCurrent.has(before.target)
        ? before.target
        : undefined;
      const target = targets.resolve(id) ?? earlier;
      const state = { target, id, subkey, counters: numbers(value), ended: !targets.isLive(id) };
      // Processes and sockets may outlive their cgroup's directory for a moment: only what has stopped counting goes.
      if (state.ended && targets.mayForget(id) && isSettled(before, state)) {
        programs.deleteEntry(this.#map, bytesOf(key));
        this.#totals.end(state);
      } else {
        entries.set(name, state);
      }
    }
    this.#entries = entries;
    this.#ids = new Set([...entries.values()].map((entry) => entry.id));
    return this.#totals.sum(current, entries.values());
  }

  /** Whether the map holds counts of a cgroup. */
  holds(id: bigint): boolean {
    return this.#ids.has(id);
  }

  /** Other programs count from zero: what the earlier ones had counted is kept. */
  #startOver(programs: KernelMaps): void {
    for (const state of this.#entries.values()) this.#totals.end(state);
    this.#entries.clear();
    this.#programs = programs;
  }
}

/** Whether an ended cgroup's counters are the same as a cycle ago, when it had ended already. */
function isSettled(before: EntryState | undefined, now: EntryState): boolean {
  return before !== undefined && before.ended &&
    JSON.stringify(before.counters) === JSON.stringify(now.counters);
}

type Key = number | bigint | { readonly cgroup_id: number | bigint; readonly number: number | bigint };

function parseKey(key: unknown): { id: bigint; subkey: string } {
  const record = key as Key;
  if (typeof record !== "object") return { id: BigInt(record), subkey: "" };
  return { id: BigInt(record.cgroup_id), subkey: String(record.number) };
}

function bytesOf(key: unknown): Uint8Array<ArrayBuffer> {
  const record = key as Key;
  const words = typeof record === "object" ? [record.cgroup_id, record.number] : [record];
  return new Uint8Array(new BigUint64Array(words.map(BigInt)).buffer);
}
