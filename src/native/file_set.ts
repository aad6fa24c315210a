/** Many files that are read again and again, in one call, on descriptors that stay open. */

import { checked, NativeError } from "./error.ts";
import type { HostRoot } from "./host_files.ts";
import { type NativeLibrary, openLibrary } from "./library.ts";
import { cString, GrowingBuffer, openHandle } from "./memory.ts";

const EBADF = 9;

/** Files by slot number. Each holds a descriptor until it is removed or the set is closed. */
export class FileSet implements Disposable {
  readonly #library: NativeLibrary;
  readonly #handle: bigint;
  readonly #buffer = new GrowingBuffer();
  /** By slot, for error messages. */
  readonly #paths: string[] = [];
  #isClosed = false;

  private constructor(library: NativeLibrary, handle: bigint) {
    this.#library = library;
    this.#handle = handle;
  }

  /** Opens a set without files. */
  static open(): FileSet {
    const library = openLibrary();
    return new FileSet(library, openHandle((out) => library.kpod_file_set_open(out), "open a set of files"));
  }

  /**
   * Opens a file beneath `root`, which may be closed afterwards.
   *
   * @returns Its slot. Slots of removed files are used again.
   */
  add(root: HostRoot, relative: string): number {
    const path = `${root.path}/${relative}`;
    const result = this.#library.kpod_file_set_add(this.#open, root.handle, cString(relative));
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
   * @returns For each slot, in order, the file's bytes, which the next read overwrites, or why it could not be
   * read: `ENODEV` for a file of a cgroup that is gone, `EBADF` for a slot not in use.
   */
  read(slots: readonly number[]): (Uint8Array<ArrayBuffer> | NativeError)[] {
    const wanted = Uint32Array.from(slots);
    const lengths = new BigInt64Array(slots.length);
    const bytes = this.#buffer.fill(
      (bytes, capacity) =>
        this.#library.kpod_file_set_read(this.#open, wanted, wanted.length, bytes, capacity, lengths),
      () => `read ${slots.length} files`,
    );
    let end = 0;
    return Array.from(lengths, (length, index) => {
      if (length < 0n) return new NativeError(`read ${this.#name(slots[index])}`, Number(length));
      const start = end;
      end += Number(length);
      return bytes.subarray(start, end);
    });
  }

  /** Like `read`, as text. */
  readText(slots: readonly number[]): (string | NativeError)[] {
    const decoder = new TextDecoder();
    return this.read(slots).map((file) => file instanceof NativeError ? file : decoder.decode(file));
  }

  /** Closes all files. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#library.kpod_file_set_close(this.#handle);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #name(slot: number | undefined): string {
    return this.#paths[slot ?? -1] ?? `slot ${slot}`;
  }

  get #open(): bigint {
    if (this.#isClosed) throw new NativeError("use a set of files that is closed", EBADF);
    return this.#handle;
  }
}
