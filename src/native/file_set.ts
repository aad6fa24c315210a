/** Many files that are read again and again, of which only those that have changed are handed out. */

import { checked, NativeError } from "./error.ts";
import type { HostRoot } from "./host_files.ts";
import { type NativeLibrary, openLibrary } from "./library.ts";
import { cString, keptFor, openHandle } from "./memory.ts";

const EBADF = 9;
const EBUSY = 16;
/** KPOD_UNCHANGED of native/kpod_files.h. */
const UNCHANGED = -4096;

/** Files by slot number. Each holds a descriptor until it is removed or the set is closed. */
export class FileSet implements Disposable {
  readonly #root: Pick<HostRoot, "path" | "handle">;
  readonly #library: NativeLibrary;
  readonly #handle: bigint;
  readonly #decoder = new TextDecoder();
  /** By slot, for error messages. */
  readonly #paths: string[] = [];
  #isClosed = false;
  /** Whether another thread reads. */
  #isBusy = false;

  private constructor(root: Pick<HostRoot, "path" | "handle">, library: NativeLibrary, handle: bigint) {
    this.#root = root;
    this.#library = library;
    this.#handle = handle;
  }

  /** Opens a set without files, which are all to be beneath `root`; it may be closed when all are added. */
  static open(root: Pick<HostRoot, "path" | "handle">): FileSet {
    const library = openLibrary();
    const handle = openHandle((out) => library.kpod_file_set_open(out), "open a set of files");
    return new FileSet(root, library, handle);
  }

  /**
   * Opens a file that the kernel writes as one record: one of a cgroup or of /proc that is no list.
   *
   * @returns Its slot. Slots of removed files are used again.
   */
  add(relative: string): number {
    const result = this.#library.kpod_file_set_add(this.#open, this.#root.handle, cString(relative));
    return this.#added(result, relative);
  }

  /**
   * The same of the file `name` in a directory, of which only the directory stays open: an open file of `/proc/PID` may
   * hold on to what the process had, such as its mounts and their devices, after its end.
   */
  addAnew(directory: string, name: string): number {
    const { kpod_file_set_add_anew: add } = this.#library;
    const result = add(this.#open, this.#root.handle, cString(directory), cString(name));
    return this.#added(result, `${directory}/${name}`);
  }

  #added(result: number, relative: string): number {
    const path = `${this.#root.path}/${relative}`;
    const slot = checked(result, () => `open ${path}`);
    this.#paths[slot] = path;
    return slot;
  }

  /** Closes the file of a slot. */
  remove(slot: number): void {
    checked(this.#library.kpod_file_set_remove(this.#open, slot), () => `close ${this.#name(slot)}`);
  }

  /**
   * Reads each file from its beginning.
   *
   * @returns For each slot, in order, the file's text, `undefined` if it is what this gave last, or why it could not be
   * read: `ENODEV` for a file of a cgroup that is gone, `ESRCH` or `ENOENT` of a process that is, `EBADF` for a slot
   * not in use.
   */
  refresh(slots: readonly number[]): (string | undefined | NativeError)[] {
    const lengths = new Int32Array(slots.length);
    this.#library.kpod_file_set_refresh(this.#open, Uint32Array.from(slots), slots.length, lengths);
    return this.#results(slots, lengths);
  }

  /** The same in another thread, while which nothing else may be done with the set but closing it. */
  async refreshApart(slots: readonly number[]): Promise<(string | undefined | NativeError)[]> {
    const lengths = new Int32Array(slots.length);
    const given = Uint32Array.from(slots);
    const { kpod_file_set_refresh_apart: refresh } = this.#library;
    const call = refresh(this.#open, given, given.length, lengths);
    this.#isBusy = true;
    try {
      await keptFor([given, lengths], call);
    } finally {
      this.#isBusy = false;
      if (this.#isClosed) this.#library.kpod_file_set_close(this.#handle);
    }
    return this.#isClosed ? [] : this.#results(slots, lengths);
  }

  #results(slots: readonly number[], lengths: Int32Array): (string | undefined | NativeError)[] {
    const results: (string | undefined | NativeError)[] = new Array(slots.length).fill(undefined);
    const changed: number[] = [];
    const changedSlots: number[] = [];
    let size = 0;
    for (const [index, slot] of slots.entries()) {
      const length = lengths[index] ?? UNCHANGED;
      if (length >= 0) {
        changed.push(index);
        changedSlots.push(slot);
        size += length;
      } else if (length !== UNCHANGED) {
        results[index] = new NativeError(`read ${this.#name(slot)}`, length);
      }
    }
    const bytes = this.#contents(changedSlots, size);
    let end = 0;
    for (const index of changed) {
      const start = end;
      end += lengths[index] ?? 0;
      results[index] = this.#decoder.decode(bytes.subarray(start, end));
    }
    return results;
  }

  /** What these have in them, one after the other, `size` bytes in all. */
  #contents(slots: readonly number[], size: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(size);
    const { kpod_file_set_content: copy } = this.#library;
    checked(
      copy(this.#open, Uint32Array.from(slots), slots.length, bytes, BigInt(size)),
      () => `copy ${slots.length} files`,
    );
    return bytes;
  }

  /** The inode that a file which is opened anew had when it was last read. */
  inode(slot: number): bigint {
    return this.#library.kpod_file_set_inode(this.#open, slot);
  }

  /** Closes all files. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (!this.#isBusy) this.#library.kpod_file_set_close(this.#handle);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #name(slot: number): string {
    return this.#paths[slot] ?? `slot ${slot}`;
  }

  get #open(): bigint {
    if (this.#isClosed) throw new NativeError("use a set of files that is closed", EBADF);
    if (this.#isBusy) throw new NativeError("use a set of files that is being read", EBUSY);
    return this.#handle;
  }
}
