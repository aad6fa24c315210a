/** Loads the eBPF programs: chooses a rung for every signal, and reads maps whichever object they are in. */
import { join } from "node:path";
import { BpfObject, type Entry, type MapInfo, type ProgramInfo } from "./bpf.ts";
import { COUNTED_MAPS, LAYOUTS } from "./layouts.gen.ts";
import { reasonOf } from "./load_failure.ts";
import {
  MAJOR_PAGE_FAULTS,
  type ObjectName,
  OBJECTS,
  type Rung,
  SHARED_MAPS,
  type Signal,
  type SignalName,
  SIGNALS,
} from "./signals.ts";

export interface ProgramOptions {
  /** Directory of the `*.bpf.o` files. */
  readonly directory: string;
  /** The signals wanted; programs of others are not loaded. */
  readonly signals: readonly SignalName[];
  /** Cgroup id of the kubepods root, and its directory's name. */
  readonly kubepods: { readonly id: bigint; readonly name: string };
  /** Room for this many containers in each map. */
  readonly maxCgroups: number;
  /** Numbers of the system calls to look at. */
  readonly syscalls: readonly number[];
}

/** How one program of one signal fares. */
export interface ProgramState {
  readonly signal: SignalName;
  readonly program: string;
  readonly hook: string;
  readonly state: "attached" | "unavailable";
  /** Why it is unavailable; empty otherwise. */
  readonly reason: string;
}

interface LoadedObject {
  readonly object: BpfObject;
  readonly maps: readonly string[];
}

/** System call numbers beyond this are not tracked; equal to MAX_SYSCALLS of bpf/syscall.bpf.c. */
const MAX_SYSCALLS = 512;

/** The loaded and attached programs. `close()` detaches all of them. */
export class Programs implements Disposable {
  /** Every program of every wanted signal. */
  readonly states: readonly ProgramState[];
  readonly #objects = new Map<ObjectName, LoadedObject>();
  readonly #entries = new Map<string, number>();

  /** Loads and attaches what works; what does not is in `states` with the reason, and harms nothing else. */
  constructor(options: ProgramOptions) {
    const states: ProgramState[] = [];
    for (const name of OBJECTS) {
      const wanted = SIGNALS.filter((signal) =>
        signal.object === name && options.signals.includes(signal.name)
      );
      if (wanted.length > 0) states.push(...this.#load(name, wanted, options));
    }
    this.states = states;
  }

  /** Whether all programs of a signal are attached. */
  delivers(signal: SignalName): boolean {
    const states = this.states.filter((state) => state.signal === signal);
    return states.length > 0 && states.every((state) => state.state === "attached");
  }

  /** All entries of a map; none when no working signal uses it. */
  readMap(map: string): Entry<unknown, unknown>[] {
    const entries = this.#objectWith(map)?.readMap(map) ?? [];
    this.#entries.set(map, entries.length);
    return entries;
  }

  /** How many entries a map had when it was last read; `undefined` for maps that are not read. */
  entryCount(map: string): number | undefined {
    return this.#entries.get(map);
  }

  deleteEntry(map: string, key: Uint8Array<ArrayBuffer>): void {
    this.#objectWith(map)?.deleteEntry(map, key);
  }

  /** The maps in the kernel, by name. */
  maps(): ReadonlyMap<string, MapInfo> {
    const infos = new Map<string, MapInfo>();
    for (const { object, maps } of this.#objects.values()) {
      for (const map of [...SHARED_MAPS, ...maps]) infos.set(map, object.mapInfo(map));
    }
    return infos;
  }

  /** Updates that the kernel refused, by map. */
  updateErrors(): ReadonlyMap<string, number> {
    const counts = new Map(
      this.readMap("update_errors").map(({ key, value }) => [COUNTED_MAPS[Number(key)] ?? "", Number(value)]),
    );
    const loaded = this.maps();
    return new Map([...counts].filter(([map]) => loaded.has(map)));
  }

  /** The kernel's statistics of each attached program. */
  programs(): readonly (ProgramInfo & { readonly program: string; readonly hook: string })[] {
    const attached = this.states.filter((state) => state.state === "attached");
    const unique = new Map(attached.map((state) => [state.program, state]));
    return [...unique.values()].map(({ program, hook, signal }) => {
      const { object } = signalOf(signal);
      const info = this.#objects.get(object)?.object.programInfo(program);
      if (info === undefined) {
        throw new Error(`Cannot ask about program ${program}: object ${object} is not loaded`);
      }
      return { ...info, program, hook };
    });
  }

  close(): void {
    for (const { object } of this.#objects.values()) object.close();
    this.#objects.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #objectWith(map: string): BpfObject | undefined {
    const objects = [...this.#objects.values()];
    const shared = (SHARED_MAPS as readonly string[]).includes(map);
    return objects.find(({ maps }) => shared || maps.includes(map))?.object;
  }

  /** Loads one object with the best working rung of each signal, attaches it, and says how that went. */
  #load(name: ObjectName, signals: readonly Signal[], options: ProgramOptions): ProgramState[] {
    const failures = new Map<Signal, string>();
    const chosen = new Map<Signal, Rung>(signals.map((signal) => [signal, first(signal.rungs)]));
    let object: BpfObject | undefined;
    try {
      object = this.#open(name, chosen, options);
    } catch {
      // Something of it does not work here: find out what, signal by signal and rung by rung.
      for (const signal of signals) {
        const tried = this.#probe(name, signal, options);
        if (typeof tried === "string") {
          failures.set(signal, tried);
          chosen.delete(signal);
        } else {
          chosen.set(signal, tried);
        }
      }
      if (chosen.size > 0) {
        try {
          object = this.#open(name, chosen, options);
        } catch (error) {
          for (const signal of chosen.keys()) failures.set(signal, reasonOf(error));
          chosen.clear();
        }
      }
    }
    const attached = new Map<string, string>();
    for (const [signal, rung] of chosen) {
      for (const program of rung.programs) {
        if (object !== undefined && !attached.has(program)) {
          attached.set(program, attach(object, rung, program));
        }
        const failure = attached.get(program);
        if (failure) failures.set(signal, failure);
      }
    }
    if (object !== undefined) {
      this.#objects.set(name, { object, maps: unique([...chosen.keys()].flatMap((signal) => signal.maps)) });
    }
    return signals.flatMap((signal) => {
      const { hook, programs } = chosen.get(signal) ?? first(signal.rungs);
      const reason = failures.get(signal) ?? "";
      const state = reason === "" ? "attached" as const : "unavailable" as const;
      return programs.map((program) => ({ signal: signal.name as SignalName, program, hook, state, reason }));
    });
  }

  /** The first rung that loads by itself, or why the best one does not. */
  #probe(name: ObjectName, signal: Signal, options: ProgramOptions): Rung | string {
    let reason = "";
    for (const rung of signal.rungs) {
      try {
        this.#open(name, new Map([[signal, rung]]), options).close();
        return rung;
      } catch (error) {
        reason ||= reasonOf(error);
      }
    }
    return reason;
  }

  /** Opens and loads an object with just these programs. */
  #open(name: ObjectName, chosen: ReadonlyMap<Signal, Rung>, options: ProgramOptions): BpfObject {
    const object = new BpfObject(join(options.directory, `${name}.bpf.o`));
    try {
      object.useLayouts(LAYOUTS);
      const every = SIGNALS.filter((signal): signal is Signal & typeof signal => signal.object === name);
      const programs = [...chosen.values()].flatMap((rung) => rung.programs);
      const maps = [...chosen.keys()].flatMap((signal) => signal.maps);
      for (
        const program of unique(every.flatMap((signal) => signal.rungs.flatMap((rung) => rung.programs)))
      ) {
        object.enableProgram(program, programs.includes(program));
      }
      for (const map of unique(every.flatMap((signal) => signal.maps))) {
        object.enableMap(map, maps.includes(map));
      }
      configure(object, name, maps, options);
      const [loaded] = this.#objects.values();
      for (const map of SHARED_MAPS) {
        if (loaded !== undefined) object.shareMap(map, loaded.object);
      }
      object.load();
      return object;
    } catch (error) {
      object.close();
      throw error;
    }
  }
}

function configure(
  object: BpfObject,
  name: ObjectName,
  maps: readonly string[],
  options: ProgramOptions,
): void {
  const { id, name: directory } = options.kubepods;
  object.setConstant("kubepods_id", bytesOf(new BigUint64Array([id])));
  // systemd repeats the parent's name in front: kubepods.slice/kubepods-burstable.slice.
  const prefix = directory.endsWith(".slice") ? directory.length - ".slice".length + 1 : 0;
  object.setConstant("qos_name_offset", bytesOf(new Uint32Array([prefix])));
  object.resizeMap("cgroups", options.maxCgroups);
  for (const map of maps) {
    // What is stored with tasks and sockets has no fixed room.
    if (object.mapInfo(map).maxEntries === 0) continue;
    object.resizeMap(
      map,
      map === "syscall" ? options.maxCgroups * options.syscalls.length : options.maxCgroups,
    );
  }
  if (name === "syscall") {
    const tracked = new Uint8Array(MAX_SYSCALLS);
    for (const number of options.syscalls) tracked[number] = 1;
    object.setConstant("tracked", tracked);
  }
}

/** Attaches a program; returns why it could not be, or nothing. */
function attach(object: BpfObject, rung: Rung, program: string): string {
  try {
    if (rung.hook === "perf_event") object.attachPerfEvent(program, MAJOR_PAGE_FAULTS);
    else object.attach(program);
    return "";
  } catch (error) {
    return reasonOf(error);
  }
}

function signalOf(name: SignalName): Signal {
  const signal = SIGNALS.find((candidate) => candidate.name === name);
  if (signal === undefined) throw new Error(`Cannot find signal ${name}`);
  return signal;
}

function first(rungs: readonly Rung[]): Rung {
  const [rung] = rungs;
  if (rung === undefined) throw new Error("Cannot choose a hook: the ladder is empty");
  return rung;
}

function unique<T>(items: readonly T[]): T[] {
  return [...new Set(items)];
}

function bytesOf(array: Uint32Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(array.buffer);
}
