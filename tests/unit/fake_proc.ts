/** A procfs with the processes of containers, in place of the host's. */
import type { LiveCgroup } from "../../src/cgroup/targets.ts";
import type { ProcessCycle, ProcessFileSet, Procfs } from "../../src/collectors/processes.ts";
import { NativeError } from "../../src/native/error.ts";
import type { Directory, ProcessCgroup } from "../../src/native/host_files.ts";

const [ENOENT, ESRCH, EACCES] = [2, 3, 13];

export class FakeProc implements Procfs {
  readonly path = "/host/proc";
  /** Cgroups as PID/cgroup shows them, by process, in the order in which they are listed. */
  readonly cgroups = new Map<number, string>();
  /** Other files by path, such as `7/net/dev`; what is not here is missing. */
  readonly files = new Map<string, string>();
  /** Their inodes, where they matter. */
  readonly inodes = new Map<string, bigint>();
  /** Files that may not be read, by path. */
  readonly denied = new Set<string>();
  /** Inodes of directories by path. */
  readonly directories = new Map<string, bigint>();
  /** How often all processes were looked at. */
  walks = 0;
  /** Slots in use, of all sets. */
  open = 0;
  /** Files read through them, in order. */
  readonly read: string[] = [];

  /** Processes are in this cgroup from now on. */
  put(cgroup: string, ...pids: readonly number[]): void {
    for (const pid of pids) this.cgroups.set(pid, cgroup);
  }

  processes(): ProcessCgroup[] {
    this.walks++;
    return [...this.cgroups].map(([pid, cgroup]) => ({ pid, cgroup }));
  }

  hold(): { readonly handle: bigint } & Disposable {
    return { handle: 0n, [Symbol.dispose]() {} };
  }

  fileSet(): ProcessFileSet {
    return new FakeFileSet(this);
  }

  readText(path: string): string {
    const text = this.text(path);
    if (text === undefined) throw new NativeError(`read ${path}`, ENOENT);
    return text;
  }

  /** The text of a file; of PID/cgroup as a process without version 1 has it. */
  text(path: string): string | undefined {
    const [, pid] = /^(\d+)\/cgroup$/.exec(path) ?? [];
    const cgroup = this.cgroups.get(Number(pid));
    return cgroup === undefined ? this.files.get(path) : `0::${cgroup}\n`;
  }

  walk(path: string): Directory[] {
    const id = this.directories.get(path);
    if (id === undefined) throw new NativeError(`walk ${path}`, ENOENT);
    return [{ id, depth: 0, path }];
  }
}

/** As the native library's: what has not changed is not handed out again. */
class FakeFileSet implements ProcessFileSet {
  readonly #proc: FakeProc;
  readonly #slots: ({ path: string; last: string | undefined } | undefined)[] = [];

  constructor(proc: FakeProc) {
    this.#proc = proc;
  }

  add(path: string): number {
    if (this.#proc.text(path) === undefined) throw new NativeError(`open ${path}`, ENOENT);
    return this.#add(path);
  }

  addAnew(directory: string, name: string): number {
    return this.#add(`${directory}/${name}`);
  }

  remove(slot: number): void {
    this.#slots[slot] = undefined;
    this.#proc.open--;
  }

  refresh(slots: readonly number[]): (string | undefined | NativeError)[] {
    return slots.map((number) => {
      const slot = this.#slots[number];
      if (slot === undefined) throw new RangeError(`Cannot read slot ${number}: it is not in use`);
      this.#proc.read.push(slot.path);
      const text = this.#proc.text(slot.path);
      const id = `${this.#proc.inodes.get(slot.path)} ${text}`;
      const before = slot.last;
      slot.last = undefined;
      if (this.#proc.denied.has(slot.path)) return new NativeError(`read ${slot.path}`, EACCES);
      if (text === undefined) return new NativeError(`read ${slot.path}`, ESRCH);
      slot.last = id;
      return id === before ? undefined : text;
    });
  }

  inode(slot: number): bigint {
    return this.#proc.inodes.get(this.#slots[slot]?.path ?? "") ?? 0n;
  }

  [Symbol.dispose](): void {
    this.#slots.forEach((slot, number) => slot && this.remove(number));
  }

  #add(path: string): number {
    this.#proc.open++;
    return this.#slots.push({ path, last: undefined }) - 1;
  }
}

/** A container's cgroup that exists, by its id and path. */
export function liveCgroup(id: bigint, path: string): LiveCgroup {
  return { id, path, podUid: "u", target: undefined };
}

/** A cycle over these cgroups, all of which have processes but for those with these ids. */
export function processCycle(live: readonly LiveCgroup[], empty: readonly bigint[] = []): ProcessCycle {
  const idOf = (path: string) => live.find((cgroup) => cgroup.path === path)?.id ?? -1n;
  const textNow = (path: string, name: string) =>
    name === "cgroup.events" ? `populated ${empty.includes(idOf(path)) ? 0 : 1}\nfrozen 0\n` : undefined;
  return { targets: { live: () => [...live] }, files: { textNow } };
}
