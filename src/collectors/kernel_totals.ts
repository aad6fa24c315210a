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

  /** `map` has the cgroup id as its key, or a record with `cgroup_id` and `number`, which is then the subkey. */
  constructor(map: string) {
    this.#map = map;
  }

  /** Reads the map and returns what each target's counters have come to. */
  read({ programs, targets }: KernelCycle): ReadonlyMap<Target, Totals> {
    if (programs !== this.#programs) this.#startOver(programs);
    const current = targets.targets();
    const isCurrent = new Set(current);
    const entries = new Map<string, EntryState>();
    for (const { key, value } of programs.readMap(this.#map)) {
      const { id, subkey, bytes } = parseKey(key);
      const name = `${id}/${subkey}`;
      const before = this.#entries.get(name);
      // The kernel's note of a cgroup's names may be missing for want of room: what it counted for, it still does.
      const earlier = before?.target !== undefined && isCurrent.has(before.target)
        ? before.target
        : undefined;
      const target = targets.resolve(id) ?? earlier;
      const state = { target, id, subkey, counters: numbers(value), ended: !targets.isLive(id) };
      // Processes and sockets may outlive their cgroup's directory for a moment: only what has stopped counting goes.
      if (state.ended && targets.mayForget(id) && isSettled(before, state)) {
        programs.deleteEntry(this.#map, bytes);
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

function parseKey(key: unknown): { id: bigint; subkey: string; bytes: Uint8Array<ArrayBuffer> } {
  const record = key as number | bigint | { cgroup_id: number | bigint; number: number | bigint };
  const words = typeof record === "object" ? [record.cgroup_id, record.number] : [record];
  const bytes = new Uint8Array(new BigUint64Array(words.map(BigInt)).buffer);
  return { id: BigInt(words[0] ?? 0), subkey: String(words[1] ?? ""), bytes };
}
