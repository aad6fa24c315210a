/** Stand-in for the loaded eBPF programs: maps that tests put counts into. */
import type { LoadedPrograms } from "../../src/agent.ts";

type Value = Readonly<Record<string, number | bigint | string | readonly number[]>>;

/** A key as the decoder gives it: a cgroup id, or a record with the rest of the key. */
export type Key = bigint | { readonly cgroup_id: bigint; readonly number: number };

export class FakeKernel implements LoadedPrograms {
  states: LoadedPrograms["states"] = [];
  delivers: LoadedPrograms["delivers"] = () => true;
  closed = false;
  /** Refused updates by map. */
  refused: ReadonlyMap<string, number> = new Map();
  /** What the next reads of a map throw. */
  readonly broken = new Map<string, Error>();
  readonly #maps = new Map<string, Map<string, { key: Key; value: Value }>>();
  /** Called before an entry goes. */
  onDelete: (map: string, key: string) => void = () => {};

  /** Makes or replaces an entry. */
  put(map: string, key: Key, value: Value): void {
    this.#map(map).set(nameOf(key), { key, value });
  }

  get(map: string, key: Key): Value | undefined {
    return this.#map(map).get(nameOf(key))?.value;
  }

  size(map: string): number {
    return this.#map(map).size;
  }

  readMap(map: string) {
    const error = this.broken.get(map);
    if (error !== undefined) throw error;
    return [...this.#map(map).values()];
  }

  deleteEntry(map: string, bytes: Uint8Array<ArrayBuffer>): void {
    const name = new BigUint64Array(bytes.buffer).join("/");
    this.onDelete(map, name);
    this.#map(map).delete(name);
  }

  entryCount(map: string): number | undefined {
    return this.#maps.get(map)?.size;
  }

  maps(): ReturnType<LoadedPrograms["maps"]> {
    return new Map();
  }

  updateErrors(): ReadonlyMap<string, number> {
    return this.refused;
  }

  programs(): ReturnType<LoadedPrograms["programs"]> {
    return [];
  }

  close(): void {
    this.closed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #map(name: string) {
    const map = this.#maps.get(name) ?? new Map<string, { key: Key; value: Value }>();
    this.#maps.set(name, map);
    return map;
  }
}

/** The words of a key, as they lie in its bytes. */
export function nameOf(key: Key): string {
  return typeof key === "bigint" ? `${key}` : `${key.cgroup_id}/${key.number}`;
}
