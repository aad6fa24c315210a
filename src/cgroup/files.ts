/** The same few files of every container's cgroup, read in one call a cycle on descriptors that stay open. */
import { NativeError } from "../native/error.ts";
import type { FileSet } from "../native/file_set.ts";
import type { HostRoot } from "../native/host_files.ts";

/** A cgroup's directory. */
export interface CgroupDirectory {
  readonly id: bigint;
  /** Relative to the hierarchy's mount point. */
  readonly path: string;
}

/** Errors that mean there is no such file (any more), and nothing worse. */
const ABSENT: readonly string[] = ["ENOENT", "ENODEV", "EOPNOTSUPP", "ENOTSUP"];

interface OpenCgroup {
  /** Of the files it has, by name. A file that a cgroup does not have when it appears does not come later. */
  readonly slots: ReadonlyMap<string, number>;
  /** As of the last reading, by name. */
  readonly texts: Map<string, string>;
}

/** File contents by cgroup id and file name, as of the last `refresh`. */
export class CgroupFiles implements Disposable {
  readonly #names: readonly string[];
  #set: FileSet | undefined;
  #hierarchy: HostRoot | undefined;
  readonly #cgroups = new Map<bigint, OpenCgroup>();

  /** `names` are files of a cgroup's directory, such as `cpu.stat`. */
  constructor(names: readonly string[]) {
    this.#names = names;
  }

  /**
   * A file's text, the same string as long as it does not change; `undefined` where its controller is not enabled, the
   * kernel lacks it or the cgroup is gone.
   */
  text(id: bigint, name: string): string | undefined {
    return this.#cgroups.get(id)?.texts.get(name);
  }

  /** The text of any file as it is now; `undefined` as above. `path` is of a cgroup's directory. */
  textNow(path: string, name: string): string | undefined {
    try {
      return this.#hierarchy?.readText(`${path}/${name}`);
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  /**
   * Reads the files of these cgroups, and lets go of all others; the texts are those of before until it is done.
   *
   * @throws {NativeError} where the process may open no more files, or another hindrance is none of a single cgroup;
   * the files of cgroups that could be opened have been read all the same.
   */
  async refresh(hierarchy: HostRoot, cgroups: readonly CgroupDirectory[]): Promise<void> {
    if (hierarchy !== this.#hierarchy) this.close();
    this.#hierarchy = hierarchy;
    const set = this.#set ??= hierarchy.fileSet();
    this.#closeAllBut(new Set(cgroups.map(({ id }) => id)), set);
    let hindrance: unknown;
    for (const cgroup of cgroups) {
      if (this.#cgroups.has(cgroup.id)) continue;
      try {
        this.#cgroups.set(cgroup.id, this.#open(set, cgroup));
      } catch (error) {
        hindrance ??= error;
      }
    }
    await this.#read(set);
    if (hindrance !== undefined) throw hindrance;
  }

  close(): void {
    this.#set?.close();
    this.#set = undefined;
    this.#cgroups.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #closeAllBut(wanted: ReadonlySet<bigint>, set: FileSet): void {
    for (const [id, { slots }] of this.#cgroups) {
      if (wanted.has(id)) continue;
      for (const slot of slots.values()) set.remove(slot);
      this.#cgroups.delete(id);
    }
  }

  #open(set: FileSet, { path }: CgroupDirectory): OpenCgroup {
    const slots = new Map<string, number>();
    for (const name of this.#names) {
      try {
        slots.set(name, set.add(`${path}/${name}`));
      } catch (error) {
        if (isAbsent(error)) continue;
        for (const slot of slots.values()) set.remove(slot);
        throw error;
      }
    }
    return { slots, texts: new Map() };
  }

  async #read(set: FileSet): Promise<void> {
    const cgroups = [...this.#cgroups.values()];
    const read = await set.refreshApart(cgroups.flatMap(({ slots }) => [...slots.values()]));
    let next = 0;
    for (const { slots, texts } of cgroups) {
      for (const name of slots.keys()) {
        const text = read[next++];
        if (typeof text === "string") texts.set(name, text);
        else if (text !== undefined) texts.delete(name);
      }
    }
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof NativeError && ABSENT.includes(error.code);
}
