/** Processes of containers, through which their namespaces are seen. */
import { basename } from "node:path";
import type { TargetIndex } from "../cgroup/targets.ts";
import { NativeError } from "../native/error.ts";
import type { HostRoot, ProcessCgroup } from "../native/host_files.ts";
import { parseFlatKeyed } from "../parse/flat_keyed.ts";
import type { Cycle } from "./collector.ts";

/** The file of a cgroup that tells whether it, or any below it, has a process. */
export const EVENTS_FILE = "cgroup.events";

/** What is worked with in one cycle, the same object throughout. */
export interface ProcessCycle extends Pick<Cycle, "files"> {
  readonly targets: Pick<TargetIndex, "live">;
}

/**
 * A process of each container's cgroup or of one below it, found by its `/proc/PID/cgroup`: `cgroup.procs` shows 0 for
 * every process outside the reader's PID namespace, and not those of cgroups below.
 *
 * To look at every process costs some 10 µs each, so one that was found is kept as long as it is in its container, and
 * all are looked at once a cycle at most, when a container that has processes has none that is known.
 */
export class Processes {
  readonly #proc: Pick<HostRoot, "path" | "processes">;
  readonly #own: bigint | undefined;
  #cycle: ProcessCycle | undefined;
  /** Cgroup ids by the directory's name, which has the runtime's id in it and so is there once. */
  #containers: ReadonlyMap<string, bigint> = new Map();
  #known = new Map<bigint, number>();
  /** All processes of every container, if this cycle has looked. */
  #all: ReadonlyMap<bigint, readonly number[]> | undefined;

  /** `proc` is the host's procfs, and `own` the cgroup at the root of the reader's cgroup namespace. */
  constructor(proc: Pick<HostRoot, "path" | "processes">, own?: bigint) {
    this.#proc = proc;
    this.#own = own;
  }

  /**
   * What `read` makes of the first process of a live container that it finds there; `undefined` if it finds none.
   *
   * @throws {Error} if containers have processes and none can be seen; or what `read` throws.
   */
  look<T>(cycle: ProcessCycle, id: bigint, read: (pid: number) => T | undefined): T | undefined {
    this.#begin(cycle);
    const known = this.#known.get(id);
    const result = known === undefined ? undefined : unlessGone(() => read(known));
    if (result !== undefined) return result;
    if (isEmpty(cycle, id)) return undefined;
    this.#all ??= this.#findAll(cycle);
    for (const pid of this.#all.get(id) ?? []) {
      // One that may not be looked at is the container's all the same.
      this.#known.set(id, pid);
      const result = unlessGone(() => read(pid));
      if (result !== undefined) return result;
      this.#known.delete(id);
    }
    return undefined;
  }

  #begin(cycle: ProcessCycle): void {
    if (cycle === this.#cycle) return;
    this.#cycle = cycle;
    this.#all = undefined;
    this.#containers = new Map(cycle.targets.live().map(({ id, path }) => [basename(path), id]));
    // Another process may have the same number by now.
    const containers = new Map(
      this.#proc.processes([...this.#known.values()]).map((process) => [process.pid, this.#idOf(process)]),
    );
    for (const [id, pid] of this.#known) {
      if (containers.get(pid) !== id) this.#known.delete(id);
    }
  }

  #findAll(cycle: ProcessCycle): ReadonlyMap<bigint, readonly number[]> {
    const all = new Map<bigint, number[]>();
    for (const process of this.#proc.processes()) {
      const id = this.#idOf(process);
      if (id === undefined) continue;
      const pids = all.get(id);
      if (pids === undefined) all.set(id, [process.pid]);
      else pids.push(process.pid);
    }
    const others = [...this.#containers.values()].filter((id) => id !== this.#own);
    if (others.some((id) => isPopulated(cycle, id)) && !others.some((id) => all.has(id))) {
      throw new Error(
        `Cannot look into containers: ${this.#proc.path} shows no process of theirs; mount the host's /proc and set ` +
          "KPOD_PROC_ROOT to where it is",
      );
    }
    return all;
  }

  /**
   * The container that a process is in: the outermost, as one may make cgroups of any name below its own. A cgroup
   * namespace cuts off what is above its root, as far down as there is something in common.
   */
  #idOf({ cgroup }: ProcessCgroup): bigint | undefined {
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

/** `undefined` if the file does not say. */
function populated(files: ProcessCycle["files"], id: bigint): number | undefined {
  return parseFlatKeyed(files.text(id, EVENTS_FILE) ?? "").get("populated");
}

function isPopulated({ files }: ProcessCycle, id: bigint): boolean {
  return populated(files, id) === 1;
}

function isEmpty({ files }: ProcessCycle, id: bigint): boolean {
  return populated(files, id) === 0;
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
