/** eBPF objects through the native library: one `BpfObject` is one object file, its programs and its maps. */
import { Buffer } from "node:buffer";
import { Btf, type MapLayout } from "./btf.ts";
import { NativeError } from "./error.ts";
import { openLibrary } from "./library.ts";
import { cString } from "./memory.ts";
import { Decoder, layoutSize, sameLayout } from "./records.ts";

export interface MapInfo {
  /** Size of a key in bytes. */
  readonly keySize: number;
  /** Size of one CPU's copy of a value in bytes. */
  readonly valueSize: number;
  /** How many entries the map was loaded with room for. */
  readonly maxEntries: number;
  /** Kernel memory it holds, in bytes. */
  readonly memoryBytes: number;
}

export interface ProgramInfo {
  /** How many links hold it: one, or one a CPU for perf events. */
  readonly attached: number;
  /** Time spent in it and number of runs, while `kernel.bpf_stats_enabled` is on. */
  readonly runTimeSeconds: number;
  readonly runs: number;
  /** Events it did not see because it was already running on that CPU. */
  readonly misses: number;
}

/** A map's contents. */
export interface Entry<Key, Value> {
  readonly key: Key;
  readonly value: Value;
}

type Entries = readonly Entry<unknown, unknown>[];

interface OpenMap {
  readonly layout: MapLayout;
  readonly keys: Decoder;
  readonly values: Decoder;
  keyBytes: Uint8Array<ArrayBuffer>;
  valueBytes: Uint8Array<ArrayBuffer>;
  capacity: number;
  /** What was last found. */
  found: { readonly keys: Uint8Array; readonly values: Uint8Array; readonly entries: Entries } | undefined;
}

/** An eBPF object. Set it up, `load()`, `attach()`, read its maps; `close()` detaches and frees everything. */
export class BpfObject implements Disposable {
  readonly #symbols = openLibrary();
  readonly #path: string;
  readonly #maps = new Map<string, OpenMap>();
  /** 0 once closed. */
  #handle: bigint;

  /** Opens an object file; throws a `NativeError` that names it and what libbpf said. */
  constructor(path: string) {
    this.#path = path;
    // What went well before may have left warnings, which must not pass for the cause of what does not now.
    takeLog();
    const handle = new BigUint64Array(1);
    this.#check(this.#symbols.kpod_bpf_open(cString(path), handle), "open");
    this.#handle = handle[0] ?? 0n;
  }

  /** The object's own type information. */
  btf(): Btf {
    const size = this.#symbols.kpod_bpf_btf(this.#handle, new Uint8Array(0), 0n);
    this.#check(size, "read the BTF of");
    const raw = new Uint8Array(Number(size));
    this.#check(this.#symbols.kpod_bpf_btf(this.#handle, raw, size), "read the BTF of");
    return new Btf(raw);
  }

  /** Makes maps readable after checking their layouts; throws when the object was built from other headers. */
  useLayouts(layouts: Readonly<Record<string, MapLayout>>): void {
    for (const [name, actual] of Object.entries(this.btf().mapLayouts())) {
      const layout = layouts[name];
      // Scratch maps of the programs alone are not read.
      if (layout === undefined) continue;
      if (!sameLayout(layout, actual)) {
        const part = JSON.stringify(layout.key) === JSON.stringify(actual.key) ? "value" : "key";
        throw new Error(
          `Cannot use ${this.#path}: the ${part} of its map ${name} is laid out otherwise than the agent was ` +
            `generated for; run "deno task build"`,
        );
      }
      this.#maps.set(name, {
        layout,
        keys: new Decoder(layout.key),
        values: new Decoder(layout.value),
        keyBytes: new Uint8Array(0),
        valueBytes: new Uint8Array(0),
        capacity: 0,
        found: undefined,
      });
    }
  }

  /** Sets a `const volatile` variable of the programs. */
  setConstant(name: string, value: Uint8Array<ArrayBuffer>): void {
    const result = this.#symbols.kpod_bpf_set_constant(this.#handle, cString(name), value, value.length);
    this.#check(result, `set ${name} in`);
  }

  enableProgram(program: string, enabled: boolean): void {
    const result = this.#symbols.kpod_bpf_enable_program(this.#handle, cString(program), Number(enabled));
    this.#check(result, `choose program ${program} of`);
  }

  enableMap(map: string, enabled: boolean): void {
    const result = this.#symbols.kpod_bpf_enable_map(this.#handle, cString(map), Number(enabled));
    this.#check(result, `choose map ${map} of`);
  }

  /** Makes a map of values that tasks or sockets hold a plain hash. */
  makeHash(map: string, keyBytes: number, maxEntries: number): void {
    const result = this.#symbols.kpod_bpf_make_hash(this.#handle, cString(map), keyBytes, maxEntries);
    this.#check(result, `make a hash of map ${map} of`);
  }

  resizeMap(map: string, maxEntries: number): void {
    const result = this.#symbols.kpod_bpf_resize_map(this.#handle, cString(map), maxEntries);
    this.#check(result, `resize map ${map} of`);
  }

  /** Uses the map of the same name of an object that is already loaded. */
  shareMap(map: string, from: BpfObject): void {
    const result = this.#symbols.kpod_bpf_share_map(this.#handle, cString(map), from.#handle);
    this.#check(result, `share map ${map} with`);
  }

  /** Gives the enabled programs to the kernel's verifier. */
  load(): void {
    this.#check(this.#symbols.kpod_bpf_load(this.#handle), "load");
  }

  /** Attaches a program to what its section names. */
  attach(program: string): void {
    this.#check(this.#symbols.kpod_bpf_attach(this.#handle, cString(program)), `attach ${program} of`);
  }

  /** Attaches a `perf_event` program to an event on every online CPU; see perf_event_open(2). */
  attachPerfEvent(program: string, event: { type: number; config: number; samplePeriod: number }): void {
    const result = this.#symbols.kpod_bpf_attach_perf_event(
      this.#handle,
      cString(program),
      event.type,
      BigInt(event.config),
      BigInt(event.samplePeriod),
    );
    this.#check(result, `attach ${program} of`);
  }

  mapInfo(map: string): MapInfo {
    const info = new DataView(new ArrayBuffer(24));
    const result = this.#symbols.kpod_bpf_map_info(this.#handle, cString(map), new Uint8Array(info.buffer));
    this.#check(result, `ask about map ${map} of`);
    return {
      keySize: info.getUint32(4, true),
      valueSize: info.getUint32(8, true),
      maxEntries: info.getUint32(12, true),
      memoryBytes: Number(info.getBigUint64(16, true)),
    };
  }

  programInfo(program: string): ProgramInfo {
    const info = new DataView(new ArrayBuffer(32));
    const bytes = new Uint8Array(info.buffer);
    const result = this.#symbols.kpod_bpf_program_info(this.#handle, cString(program), bytes);
    this.#check(result, `ask about program ${program} of`);
    return {
      attached: info.getUint32(4, true),
      runTimeSeconds: Number(info.getBigUint64(8, true)) / 1e9,
      runs: Number(info.getBigUint64(16, true)),
      misses: Number(info.getBigUint64(24, true)),
    };
  }

  /**
   * All entries of a map, decoded; the CPUs' copies of per-CPU values are added up. The same array as the last time, if
   * nothing has changed since.
   */
  readMap(name: string): Entries {
    const map = this.#maps.get(name);
    if (map === undefined) {
      throw new Error(`Cannot read map ${name} of ${this.#path}: its layout is not known`);
    }
    if (map.capacity === 0) this.#grow(map, 64);
    for (;;) {
      const count = this.#symbols.kpod_bpf_map_read(
        this.#handle,
        cString(name),
        map.keyBytes,
        map.valueBytes,
        BigInt(map.capacity),
      );
      if (Number(count) === -EMSGSIZE) {
        this.#grow(map, map.capacity * 2);
        continue;
      }
      this.#check(count, `read map ${name} of`);
      return entriesOf(map, Number(count));
    }
  }

  /** Deletes an entry; one that is not there is no error. */
  deleteEntry(map: string, key: Uint8Array<ArrayBuffer>): void {
    const result = this.#symbols.kpod_bpf_map_delete(this.#handle, cString(map), key);
    if (result !== -ENOENT) this.#check(result, `delete from map ${map} of`);
  }

  /** Detaches the programs and frees the maps. */
  close(): void {
    if (this.#handle === 0n) return;
    this.#symbols.kpod_bpf_close(this.#handle);
    this.#handle = 0n;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #grow(map: OpenMap, capacity: number): void {
    map.capacity = capacity;
    map.keyBytes = new Uint8Array(capacity * layoutSize(map.layout.key));
    map.valueBytes = new Uint8Array(capacity * layoutSize(map.layout.value));
  }

  #check(result: number | bigint, action: string): void {
    if (result >= 0) return;
    const said = takeLog().trim();
    throw new NativeError(`${action} ${this.#path}`, Number(result), said === "" ? undefined : said);
  }
}

function entriesOf(map: OpenMap, count: number): Entries {
  const keys = map.keyBytes.subarray(0, count * layoutSize(map.layout.key));
  const values = map.valueBytes.subarray(0, count * layoutSize(map.layout.value));
  const { found } = map;
  if (found && Buffer.compare(found.keys, keys) === 0 && Buffer.compare(found.values, values) === 0) {
    return found.entries;
  }
  const entries = Array.from({ length: count }, (_, index) => ({
    key: map.keys.decode(keys, index),
    value: map.values.decode(values, index),
  }));
  map.found = { keys: keys.slice(), values: values.slice(), entries };
  return entries;
}

const ENOENT = 2;
const EMSGSIZE = 90;

/** What libbpf and the verifier have logged since the last call, as lines. */
export function takeLog(): string {
  const buffer = new Uint8Array(64 * 1024);
  const length = openLibrary().kpod_log_take(buffer, BigInt(buffer.length));
  return new TextDecoder().decode(buffer.subarray(0, Number(length)));
}

/** Whether tasks and sockets can hold values of tracing programs; where that cannot be told, loading will tell why. */
export function hasTaskStorage(): boolean {
  return openLibrary().kpod_bpf_has_task_storage() !== 0;
}

/**
 * Whether the kernel may preempt programs on tracepoints, and meanwhile skips their events; where that cannot be told,
 * loading will tell why.
 */
export function preemptsPrograms(): boolean {
  return openLibrary().kpod_bpf_preempts_programs() === 1;
}

/** The version of libbpf in use, as `v1.1`. */
export function libbpfVersion(): string {
  const buffer = new Uint8Array(64);
  const length = openLibrary().kpod_libbpf_version(buffer, BigInt(buffer.length));
  return new TextDecoder().decode(buffer.subarray(0, Math.max(0, Number(length))));
}
