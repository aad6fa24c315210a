/** Loads the eBPF programs: chooses a rung for every signal, and reads maps whichever object they are in. */
import { join } from "node:path";
import { BpfObject, type Entry, hasTaskStorage, type MapInfo, type ProgramInfo } from "./bpf.ts";
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
  /** Ladders cut down to the rung with this program: for tests, which hold every rung against its witness. */
  readonly rungs?: Readonly<Partial<Record<SignalName, string>>>;
  /**
   * Whether tasks and sockets hold what programs remember of them.
   *
   * @default what this kernel can
   */
  readonly localStorage?: boolean;
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

/** Size of struct owner of bpf/storage.bpf.h. */
const OWNER_BYTES = 16;
/** Threads or connections there is room for, on average, where these cannot hold values themselves. */
const TASKS_OF_A_CONTAINER = 32;

/** The loaded and attached programs. `close()` detaches all of them. */
export class Programs implements Disposable {
  /** Every program of every wanted signal. */
  readonly states: readonly ProgramState[];
  readonly #objects = new Map<ObjectName, LoadedObject>();
  readonly #entries = new Map<string, number>();

  /** Loads and attaches what works; what does not is in `states` with the reason, and harms nothing else. */
  constructor(wanted: ProgramOptions) {
    // To ask takes the kernel making a map.
    const options = { ...wanted, localStorage: wanted.localStorage ?? hasTaskStorage() };
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

  /** Loads and attaches one object with the best working rung of each signal, and says how that went. */
  #load(name: ObjectName, signals: readonly Signal[], options: Settled): ProgramState[] {
    const ladders = new Map(signals.map((signal) => [signal, ladderOf(signal, options)]));
    let chosen = new Map([...ladders].map(([signal, ladder]) => [signal, first(ladder)]));
    const reasons = new Map<Signal, string>();
    try {
      this.#keep(name, chosen, options);
    } catch {
      // Something of it does not work here: find out what, signal by signal and rung by rung.
      chosen = new Map();
      for (const [signal, ladder] of ladders) {
        const tried = this.#probe(name, signal, ladder, options);
        if (typeof tried === "string") reasons.set(signal, tried);
        else chosen.set(signal, tried);
      }
      try {
        if (chosen.size > 0) this.#keep(name, chosen, options);
      } catch (error) {
        for (const signal of chosen.keys()) reasons.set(signal, reasonOf(error));
      }
    }
    return [...ladders].flatMap(([signal, ladder]) => {
      const rung = chosen.get(signal) ?? first(ladder);
      const reason = reasons.get(signal) ?? "";
      const state = reason === "" ? "attached" as const : "unavailable" as const;
      return programsOf(rung, options).map((program) => ({
        signal: signal.name as SignalName,
        program,
        hook: rung.hook,
        state,
        reason,
      }));
    });
  }

  #keep(name: ObjectName, chosen: Chosen, options: Settled): void {
    this.#objects.set(name, { object: this.#attached(name, chosen, options), maps: mapsOf(chosen) });
  }

  /** The first rung that works by itself, or why none does. */
  #probe(name: ObjectName, signal: Signal, ladder: readonly Rung[], options: Settled): Rung | string {
    const reasons: string[] = [];
    for (const rung of ladder) {
      try {
        this.#attached(name, new Map([[signal, rung]]), options).close();
        return rung;
      } catch (error) {
        reasons.push(reasonOf(error));
      }
    }
    return unique(reasons).join("; ");
  }

  /** Opens, loads and attaches an object with just these programs. */
  #attached(name: ObjectName, chosen: Chosen, options: Settled): BpfObject {
    const object = new BpfObject(join(options.directory, `${name}.bpf.o`));
    try {
      object.useLayouts(LAYOUTS);
      const hooks = new Map(
        [...chosen.values()].flatMap((rung) =>
          programsOf(rung, options).map((program) => [program, rung.hook] as const)
        ),
      );
      for (const program of everyProgram(name)) object.enableProgram(program, hooks.has(program));
      const maps = mapsOf(chosen);
      for (const map of everyMap(name)) object.enableMap(map, maps.includes(map));
      configure(object, name, maps, options);
      const [loaded] = this.#objects.values();
      for (const map of SHARED_MAPS) {
        if (loaded !== undefined) object.shareMap(map, loaded.object);
      }
      object.load();
      for (const [program, hook] of hooks) {
        if (hook === "perf_event") object.attachPerfEvent(program, MAJOR_PAGE_FAULTS);
        else object.attach(program);
      }
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
  options: Settled,
): void {
  const { id, name: directory } = options.kubepods;
  object.setConstant("kubepods_id", bytesOf(new BigUint64Array([id])));
  // systemd repeats the parent's name in front: kubepods.slice/kubepods-burstable.slice.
  const prefix = directory.endsWith(".slice") ? directory.length - ".slice".length + 1 : 0;
  object.setConstant("qos_name_offset", bytesOf(new Uint32Array([prefix])));
  object.setConstant("local_storage", new Uint8Array([Number(options.localStorage)]));
  object.resizeMap("cgroups", options.maxCgroups);
  for (const map of maps) {
    // What tasks and sockets hold has no fixed room.
    if (object.mapInfo(map).maxEntries > 0) object.resizeMap(map, roomIn(map, options));
    else if (!options.localStorage) {
      object.makeHash(map, OWNER_BYTES, options.maxCgroups * TASKS_OF_A_CONTAINER);
    }
  }
  if (name === "syscall") {
    const tracked = new Uint8Array(MAX_SYSCALLS);
    for (const number of options.syscalls) tracked[number] = 1;
    object.setConstant("tracked", tracked);
  }
}

function roomIn(map: string, { maxCgroups, syscalls }: Settled): number {
  return map === "syscall" ? maxCgroups * syscalls.length : maxCgroups;
}

/** Options with what this kernel can in the place of what was left open. */
type Settled = ProgramOptions & { readonly localStorage: boolean };

type Chosen = ReadonlyMap<Signal, Rung>;

function ladderOf(signal: Signal, { rungs = {} }: Settled): readonly Rung[] {
  const wanted = rungs[signal.name as SignalName];
  if (wanted === undefined) return signal.rungs;
  const found = signal.rungs.filter(({ programs }) => programs.includes(wanted));
  if (found.length > 0) return found;
  throw new Error(`Cannot choose ${wanted} for signal ${signal.name}: none of its rungs has that program`);
}

function programsOf({ programs, cleaners = [] }: Rung, options: Settled): readonly string[] {
  return options.localStorage ? programs : [...programs, ...cleaners];
}

function mapsOf(chosen: Chosen): readonly string[] {
  return unique([...chosen].flatMap(([{ maps }, { maps: more = [] }]) => [...maps, ...more]));
}

function everyProgram(name: ObjectName): readonly string[] {
  return unique(
    signalsOf(name).flatMap(({ rungs }) =>
      rungs.flatMap(({ programs, cleaners = [] }) => [...programs, ...cleaners])
    ),
  );
}

function everyMap(name: ObjectName): readonly string[] {
  return unique(
    signalsOf(name).flatMap(({ maps, rungs }) => [...maps, ...rungs.flatMap(({ maps: more = [] }) => more)]),
  );
}

function signalsOf(name: ObjectName): readonly Signal[] {
  return SIGNALS.filter(({ object }) => object === name);
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
