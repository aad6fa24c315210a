/** The same few files of every container's cgroup, read in one call a cycle on descriptors that stay open. */
import { NativeError } from "../native/error.ts";
import { FileSet } from "../native/file_set.ts";
import type { HostRoot } from "../native/host_files.ts";

/** A cgroup's directory. */
export interface CgroupDirectory {
  readonly id: bigint;
  /** Relative to the hierarchy's mount point. */
  readonly path: string;
}

/** Errors that mean there is no such file (any more), and nothing worse. */
const ABSENT: readonly string[] = ["ENOENT", "ENODEV", "EOPNOTSUPP", "ENOTSUP"];

/** File contents by cgroup id and file name, as of the last `refresh`. */
export class CgroupFiles implements Disposable {
  readonly #names: readonly string[];
  #set: FileSet | undefined;
  #hierarchy: HostRoot | undefined;
  /** Slots by cgroup and name. A file that a cgroup does not have when it appears does not come later. */
  readonly #slots = new Map<bigint, ReadonlyMap<string, number>>();
  #texts = new Map<bigint, ReadonlyMap<string, string>>();

  /** `names` are files of a cgroup's directory, such as `cpu.stat`. */
  constructor(names: readonly string[]) {
    this.#names = names;
  }

  /** A file's text; `undefined` where its controller is not enabled, the kernel lacks it or the cgroup is gone. */
  text(id: bigint, name: string): string | undefined {
    return this.#texts.get(id)?.get(name);
  }

  /**
   * Reads the files of these cgroups, and lets go of all others.
   *
   * @throws {NativeError} where the process may open no more files, or another hindrance is none of a single cgroup;
   * the files of cgroups that could be opened have been read all the same.
   */
  refresh(hierarchy: HostRoot, cgroups: readonly CgroupDirectory[]): void {
    if (hierarchy !== this.#hierarchy) this.close();
    this.#hierarchy = hierarchy;
    this.#set ??= FileSet.open();
    this.#closeAllBut(new Set(cgroups.map((cgroup) => cgroup.id)));
    let hindrance: unknown;
    for (const cgroup of cgroups) {
      if (this.#slots.has(cgroup.id)) continue;
      try {
        this.#slots.set(cgroup.id, this.#open(this.#set, hierarchy, cgroup));
      } catch (error) {
        hindrance ??= error;
      }
    }
    this.#read(this.#set);
    if (hindrance !== undefined) throw hindrance;
  }

  close(): void {
    this.#set?.close();
    this.#set = undefined;
    this.#slots.clear();
    this.#texts.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #closeAllBut(wanted: ReadonlySet<bigint>): void {
    for (const [id, slots] of this.#slots) {
      if (wanted.has(id)) continue;
      for (const slot of slots.values()) this.#set?.remove(slot);
      this.#slots.delete(id);
    }
  }

  #open(set: FileSet, hierarchy: HostRoot, cgroup: CgroupDirectory): ReadonlyMap<string, number> {
    const slots = new Map<string, number>();
    for (const name of this.#names) {
      try {
        slots.set(name, set.add(hierarchy, `${cgroup.path}/${name}`));
      } catch (error) {
        if (isAbsent(error)) continue;
        for (const slot of slots.values()) set.remove(slot);
        throw error;
      }
    }
    return slots;
  }

  #read(set: FileSet): void {
    const wanted = [...this.#slots].flatMap(([id, slots]) =>
      [...slots].map(([name, slot]) => ({ id, name, slot }))
    );
    const read = set.readText(wanted.map(({ slot }) => slot));
    const texts = new Map<bigint, Map<string, string>>();
    wanted.forEach(({ id, name }, index) => {
      const text = read[index];
      if (typeof text !== "string") return;
      const files = texts.get(id) ?? new Map<string, string>();
      texts.set(id, files.set(name, text));
    });
    this.#texts = texts;
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof NativeError && ABSENT.includes(error.code);
}
