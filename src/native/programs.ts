/** Loads the eBPF programs: chooses a rung for every signal, and reads maps whichever object they are in. */
import { join } from "node:path";
import {
  BpfObject,
  type Entry,
  hasTaskStorage,
  type MapInfo,
  preemptsPrograms,
  type ProgramInfo,
} from "./bpf.ts";
import {
  type Chosen,
  everyMap,
  everyProgram,
  first,
  ladderOf,
  mapsOf,
  programsOf,
  signalOf,
} from "./ladders.ts";
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
  /**
   * Whether the kernel may preempt programs on tracepoints.
   *
   * @default what this kernel does
   */
  readonly preempted?: boolean;
}

/** How one program of one signal fares. */
export interface ProgramState {
  readonly signal: SignalName;
  readonly program: string;
  readonly hook: string;
  readonly state: "attached" | "unavailable";
  /** Why it is unavailable; empty otherwise. */
  readonly reason: string;
  /** Where the kernel may skip events of it: why no hook is taken whose events are not skipped; empty otherwise. */
  readonly mayMiss: string;
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
    // To ask takes the kernel making a map, and reading its types.
    const options = {
      ...wanted,
      localStorage: wanted.localStorage ?? hasTaskStorage(),
      preempted: wanted.preempted ?? preemptsPrograms(),
    };
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
  readMap(map: string): readonly Entry<unknown, unknown>[] {
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
    const refused = new Map<Rung, string>();
    try {
      this.#keep(name, chosen, options);
    } catch {
      // Something of it does not work here: find out what, signal by signal and rung by rung.
      chosen = new Map();
      for (const [signal, ladder] of ladders) {
        const rung = this.#probe(name, signal, ladder, options, refused);
        if (rung !== undefined) chosen.set(signal, rung);
      }
      try {
        if (chosen.size > 0) this.#keep(name, chosen, options);
      } catch (error) {
        for (const rung of chosen.values()) refused.set(rung, reasonOf(error));
      }
    }
    return [...ladders].flatMap(([signal, ladder]) =>
      statesOf(signal, ladder, chosen.get(signal), refused, options)
    );
  }

  #keep(name: ObjectName, chosen: Chosen, options: Settled): void {
    this.#objects.set(name, { object: this.#attached(name, chosen, options), maps: mapsOf(chosen) });
  }

  /** The first rung that works by itself, if one does; why those before it do not goes into `refused`. */
  #probe(
    name: ObjectName,
    signal: Signal,
    ladder: readonly Rung[],
    options: Settled,
    refused: Map<Rung, string>,
  ): Rung | undefined {
    return ladder.find((rung) => {
      try {
        this.#attached(name, new Map([[signal, rung]]), options).close();
        return true;
      } catch (error) {
        refused.set(rung, reasonOf(error));
        return false;
      }
    });
  }

  /** Opens, loads and attaches an object with just these programs. */
  #attached(name: ObjectName, chosen: Chosen, settled: Settled): BpfObject {
    const options = { ...settled, localStorage: settled.localStorage && !usesHashes(chosen) };
    const object = new BpfObject(join(options.directory, `${name}.bpf.o`));
    try {
      object.useLayouts(LAYOUTS);
      const hooks = new Map([...chosen.values()].flatMap((rung) => programsOf(rung, options)));
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
type Settled = ProgramOptions & { readonly localStorage: boolean; readonly preempted: boolean };

function usesHashes(chosen: Chosen): boolean {
  return [...chosen.values()].some(({ hashes = false }) => hashes);
}

/** How a signal's programs fare, by the reasons of all rungs that were refused. */
function statesOf(
  signal: Signal,
  ladder: readonly Rung[],
  chosen: Rung | undefined,
  refused: ReadonlyMap<Rung, string>,
  options: Settled,
): ProgramState[] {
  const isAttached = chosen !== undefined && !refused.has(chosen);
  const reasons = (rungs: readonly Rung[]) =>
    [...new Set(rungs.flatMap((rung) => refused.get(rung) ?? []))].join("; ");
  return programsOf(chosen ?? first(ladder), options).map(([program, hook]) => ({
    signal: signal.name as SignalName,
    program,
    hook,
    state: isAttached ? "attached" : "unavailable",
    reason: isAttached ? "" : reasons(chosen === undefined ? ladder : [chosen]),
    mayMiss: isAttached ? reasons(ladder.filter(({ wherePreempted }) => wherePreempted)) : "",
  }));
}

function bytesOf(array: Uint32Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(array.buffer);
}
