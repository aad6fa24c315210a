/** Processes of containers, through which their namespaces are seen. */
import type { LiveCgroup, TargetIndex } from "../cgroup/targets.ts";
import { NativeError } from "../native/error.ts";
import type { FileSet } from "../native/file_set.ts";
import { cgroupPathOf, type HostRoot } from "../native/host_files.ts";
import { flatKeyedValue } from "../parse/flat_keyed.ts";
import type { Cycle } from "./collector.ts";

/** The file of a cgroup that tells whether it, or any below it, has a process. */
export const EVENTS_FILE = "cgroup.events";

/** What is worked with in one cycle, the same object throughout. */
export interface ProcessCycle {
  readonly targets: Pick<TargetIndex, "live">;
  readonly files: Pick<Cycle["files"], "textNow">;
}

/** What is needed of a set of files. */
export type ProcessFileSet = Pick<FileSet, "add" | "addAnew" | "remove" | "refresh" | "inode"> & Disposable;

/** What is needed of a procfs. */
export interface Procfs extends Pick<HostRoot, "path" | "processes" | "readText"> {
  fileSet(): ProcessFileSet;
}

/** A process in a container: the same object as long as it is known to be there. */
export interface Process {
  readonly pid: number;
}

interface KnownProcess extends Process {
  /** Of its PID/cgroup, whose descriptor stays with this process, whatever gets its number later. */
  readonly slot: number;
  /** When to look again whether it is there. */
  due: number;
}

/** Milliseconds of a clock that never goes back. */
export type Clock = () => number;

/** What only an intruder changes is looked at again after half a minute to a minute: not all of it at once. */
export function whenSettled(now: number): number {
  return now + 30_000 * (1 + Math.random());
}

/**
 * A process of each container's cgroup or of one below it, found by its `/proc/PID/cgroup`: `cgroup.procs` shows 0 for
 * every process outside the reader's PID namespace, and not those of cgroups below.
 *
 * To look at every process costs some 10 µs each, so one that was found is kept as long as it is in its container, and
 * all are looked at once a cycle at most, when a container that has processes has none that is known. A runtime never
 * moves a process out of its container; whether somebody else has is seen within a minute.
 */
export class Processes {
  readonly #proc: Procfs;
  readonly #own: bigint | undefined;
  readonly #files: ProcessFileSet;
  readonly #clock: Clock;
  #cycle: ProcessCycle | undefined;
  #live: readonly LiveCgroup[] = [];
  /** Cgroup ids by the directory's name, which has the runtime's id in it and so is there once. */
  #containers: ReadonlyMap<string, bigint> = new Map();
  /** Their directories, by cgroup id. */
  #paths: ReadonlyMap<bigint, string> = new Map();
  readonly #known = new Map<bigint, KnownProcess>();
  /** All processes of every container, if this cycle has looked. */
  #all: ReadonlyMap<bigint, readonly number[]> | undefined;

  /** `proc` is the host's procfs, and `own` the cgroup at the root of the reader's cgroup namespace. */
  constructor(proc: Procfs, own?: bigint, clock: Clock = () => performance.now()) {
    this.#proc = proc;
    this.#own = own;
    this.#files = proc.fileSet();
    this.#clock = clock;
  }

  /**
   * What `read` makes of the first process of a live container that it finds there; `undefined` if it finds none.
   *
   * @param read Throws if the process has ended, which nobody else finds out.
   * @throws {Error} if containers have processes and none can be seen; or what `read` throws.
   */
  look<T>(cycle: ProcessCycle, id: bigint, read: (process: Process) => T | undefined): T | undefined {
    this.#begin(cycle);
    const known = this.#known.get(id);
    const result = known === undefined ? undefined : unlessGone(() => read(known));
    if (result !== undefined) return result;
    if (this.#populated(cycle, id) === 0) return undefined;
    this.#all ??= this.#findAll(cycle);
    for (const pid of this.#all.get(id) ?? []) {
      // One that may not be looked at is the container's all the same.
      const process = this.#keep(id, pid);
      const result = process === undefined ? undefined : unlessGone(() => read(process));
      if (result !== undefined) return result;
      this.#drop(id);
    }
    return undefined;
  }

  /** The processes that are known. */
  get known(): Iterable<Process> {
    return this.#known.values();
  }

  #begin(cycle: ProcessCycle): void {
    if (cycle === this.#cycle) return;
    this.#cycle = cycle;
    this.#all = undefined;
    this.#see(cycle.targets.live());
    const now = this.#clock();
    const due = [...this.#known].filter(([, process]) => process.due <= now);
    const texts = this.#files.refresh(due.map(([, { slot }]) => slot));
    due.forEach(([id, process], index) => {
      const text = texts[index];
      const isThere = text === undefined || typeof text === "string" && this.#idOf(cgroupPathOf(text)) === id;
      if (isThere) process.due = whenSettled(now);
      else this.#drop(id);
    });
  }

  #see(live: readonly LiveCgroup[]): void {
    if (live === this.#live) return;
    this.#live = live;
    this.#containers = new Map(live.map(({ id, path }) => [nameOf(path), id]));
    this.#paths = new Map(live.map(({ id, path }) => [id, path]));
    for (const id of this.#known.keys()) {
      if (!this.#paths.has(id)) this.#drop(id);
    }
  }

  /** Notes a process of a container, if it is there still. */
  #keep(id: bigint, pid: number): Process | undefined {
    this.#drop(id);
    const slot = unlessGone(() => this.#files.add(`${pid}/cgroup`));
    if (slot === undefined) return undefined;
    const process = { pid, slot, due: 0 };
    this.#known.set(id, process);
    const [text] = this.#files.refresh([slot]);
    if (typeof text === "string" && this.#idOf(cgroupPathOf(text)) === id) return process;
    this.#drop(id);
    return undefined;
  }

  #drop(id: bigint): void {
    const known = this.#known.get(id);
    if (known === undefined) return;
    this.#known.delete(id);
    this.#files.remove(known.slot);
  }

  #findAll(cycle: ProcessCycle): ReadonlyMap<bigint, readonly number[]> {
    const all = new Map<bigint, number[]>();
    for (const { pid, cgroup } of this.#proc.processes()) {
      const id = this.#idOf(cgroup);
      if (id === undefined) continue;
      const pids = all.get(id);
      if (pids === undefined) all.set(id, [pid]);
      else pids.push(pid);
    }
    const others = [...this.#containers.values()].filter((id) => id !== this.#own);
    if (!others.some((id) => all.has(id)) && others.some((id) => this.#populated(cycle, id) === 1)) {
      throw new Error(
        `Cannot look into containers: ${this.#proc.path} shows no process of theirs; mount the host's /proc and set ` +
          "KPOD_PROC_ROOT to where it is",
      );
    }
    return all;
  }

  /** 1 if a container has a process, 0 if it has none, `undefined` if nobody says. */
  #populated({ files }: ProcessCycle, id: bigint): number | undefined {
    const path = this.#paths.get(id);
    return path === undefined
      ? undefined
      : flatKeyedValue(files.textNow(path, EVENTS_FILE) ?? "", "populated");
  }

  /**
   * The container that a process is in, by its cgroup's path: the outermost, as one may make cgroups of any name below
   * its own. A cgroup namespace cuts off what is above its root, as far down as there is something in common.
   */
  #idOf(cgroup: string | undefined): bigint | undefined {
    if (cgroup === undefined) return undefined;
    for (const directory of cgroup.split("/")) {
      const id = this.#containers.get(directory);
      if (id !== undefined) return id;
    }
    return cgroup.startsWith("/..") ? undefined : this.#own;
  }
}

/** The cgroup at the root of the reader's cgroup namespace, in its own `sysfs`; `undefined` if none is mounted there. */
export function ownCgroup(sysfs: Pick<HostRoot, "walk">): bigint | undefined {
  try {
    return sysfs.walk("fs/cgroup", 0)[0]?.id;
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    return undefined;
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/**
 * What a file of a process is missing with: it has ended, or is a dead leader of living threads, which has no
 * namespaces (`EINVAL` from `mounts_open_common` in fs/proc_namespace.c, `ENXIO` from `seq_open_net` in fs/proc/proc_net.c).
 */
const GONE: readonly string[] = ["ENOENT", "ESRCH", "EINVAL", "ENXIO"];

function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof NativeError && GONE.includes(error.code)) return undefined;
    throw error;
  }
}
