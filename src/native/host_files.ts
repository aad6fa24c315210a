/**
 * Host files through the native library: the runtime refuses `/proc` and `/sys` to a program that may not do
 * everything. All paths but those of `HostRoot.open` and `readHostFile` are relative to a root and cannot leave it.
 */

import { Buffer } from "node:buffer";
import { basename, dirname } from "node:path";
import { checked, NativeError, pathBeneath } from "./error.ts";
import { FileSet } from "./file_set.ts";
import { type NativeLibrary, openLibrary } from "./library.ts";
import { cString, GrowingBuffer, openHandle } from "./memory.ts";

/** One directory of a walk. */
export interface Directory {
  /** On a cgroup2 filesystem this is the cgroup id. */
  readonly id: bigint;
  /** 0 where the walk began. */
  readonly depth: number;
  /** Relative to the root; bytes that are not UTF-8 read as U+FFFD. */
  readonly path: string;
}

/** A process and where it is. */
export interface ProcessCgroup {
  readonly pid: number;
  /**
   * Path of its cgroup v2, relative to the root of the reader's cgroup namespace: `/../other`, or `/` for the root.
   * Bytes that are not UTF-8 read as U+FFFD.
   */
  readonly cgroup: string;
}

/** A directory to read beneath. */
export class HostRoot implements Disposable {
  readonly path: string;
  readonly #library: NativeLibrary;
  readonly #handle: bigint;
  readonly #buffer = new GrowingBuffer();
  #walked: { readonly bytes: Uint8Array; readonly directories: readonly Directory[] } | undefined;
  #isClosed = false;
  #holders = 0;

  private constructor(path: string, library: NativeLibrary, handle: bigint) {
    this.path = path;
    this.#library = library;
    this.#handle = handle;
  }

  /**
   * Opens a directory. `/proc/PID/root` opens what the process sees as its root.
   *
   * @throws {NativeError} if it is none or may not be opened.
   */
  static open(path: string): HostRoot {
    const library = openLibrary();
    const name = cString(path);
    return new HostRoot(
      path,
      library,
      openHandle((out) => library.kpod_root_open(name, out), `open ${path}`),
    );
  }

  /** The native handle. */
  get handle(): bigint {
    if (this.#isClosed) throw new NativeError(`use ${this.path}, which is closed`, 9);
    return this.#handle;
  }

  /** The magic number of the root's filesystem, see statfs(2); 0x63677270 is cgroup2. */
  filesystemType(): number {
    return checked(this.#library.kpod_filesystem_type(this.handle), () => `statfs ${this.path}`);
  }

  /** The bytes of a whole file, which may be one of `/proc` or a cgroup. */
  readFile(relative: string): Uint8Array<ArrayBuffer> {
    return this.#read(relative).slice();
  }

  /** The text of a whole file. */
  readText(relative: string): string {
    return new TextDecoder().decode(this.#read(relative));
  }

  #read(relative: string): Uint8Array<ArrayBuffer> {
    const name = cString(relative);
    return this.#buffer.fill(
      (bytes, capacity) => this.#library.kpod_read_file(this.handle, name, bytes, capacity),
      () => `read ${pathBeneath(this, relative)}`,
    );
  }

  /**
   * The directory `relative` (`"."` for the root) and those below it, parents before children, on one filesystem
   * and without following symbolic links.
   *
   * @param maxDepth How many levels below `relative` to list.
   * @returns The same array as the last time, if nothing has changed since.
   */
  walk(relative: string, maxDepth = 32): readonly Directory[] {
    const name = cString(relative);
    const bytes = this.#buffer.fill(
      (bytes, capacity) => this.#library.kpod_walk(this.handle, name, maxDepth, bytes, capacity),
      () => `walk ${pathBeneath(this, relative)}`,
    );
    if (this.#walked !== undefined && Buffer.compare(this.#walked.bytes, bytes) === 0) {
      return this.#walked.directories;
    }
    this.#walked = { bytes: bytes.slice(), directories: parseDirectories(bytes) };
    return this.#walked.directories;
  }

  /** A set for files beneath this root. */
  fileSet(): FileSet {
    return FileSet.open(this);
  }

  /**
   * All processes of a procfs, with their cgroups. Those that end meanwhile, may not be looked at or are in no cgroup v2
   * are left out.
   */
  processes(): ProcessCgroup[] {
    const bytes = this.#buffer.fill(
      (bytes, capacity) => this.#library.kpod_processes(this.handle, bytes, capacity),
      () => `list processes in ${this.path}`,
    );
    return parseProcesses(bytes);
  }

  /** The native handle, which stays open, though the root may be closed meanwhile, until this is disposed of. */
  hold(): { readonly handle: bigint } & Disposable {
    const { handle } = this;
    this.#holders++;
    return {
      handle,
      [Symbol.dispose]: () => {
        this.#holders--;
        this.#closeWhenIdle();
      },
    };
  }

  /** Closes the root, once nobody holds it open. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closeWhenIdle();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #closeWhenIdle(): void {
    if (this.#isClosed && this.#holders === 0) this.#library.kpod_root_close(this.#handle);
  }
}

/** Reads one file, such as a token, without leaving its directory: its symbolic links may not either. */
export function readHostFile(path: string): Uint8Array<ArrayBuffer> {
  using directory = HostRoot.open(dirname(path));
  return directory.readFile(basename(path));
}

/** Reads the records of `struct kpod_directory` in `native/kpod_files.h`. */
function parseDirectories(bytes: Uint8Array<ArrayBuffer>): Directory[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder();
  const directories: Directory[] = [];
  for (let at = 0; at < bytes.length;) {
    const id = view.getBigUint64(at, true);
    const depth = view.getUint32(at + 8, true);
    const start = at + 16;
    const end = start + view.getUint32(at + 12, true);
    directories.push({ id, depth, path: decoder.decode(bytes.subarray(start, end)) });
    at = Math.ceil(end / 8) * 8;
  }
  return directories;
}

/**
 * The path of the cgroup v2 in the text of a PID/cgroup, a line for each hierarchy; `undefined` if it is in none:
 *
 * ```text
 * 1:name=systemd:/
 * 0::/kubepods.slice/kubepods-pod0f8fad5b_d9cb_469f_a165_70867728950e.slice/cri-containerd-845a5c80….scope
 * ```
 */
export function cgroupPathOf(text: string): string | undefined {
  return text.split("\n").find((line) => line.startsWith("0::"))?.slice("0::".length);
}

/** Reads the records of `struct kpod_process` in `native/kpod_files.h`. */
function parseProcesses(bytes: Uint8Array<ArrayBuffer>): ProcessCgroup[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder();
  const processes: ProcessCgroup[] = [];
  for (let at = 0; at < bytes.length;) {
    const pid = view.getUint32(at, true);
    const start = at + 8;
    const end = start + view.getUint32(at + 4, true);
    const cgroup = cgroupPathOf(decoder.decode(bytes.subarray(start, end)));
    if (cgroup !== undefined) processes.push({ pid, cgroup });
    at = Math.ceil(end / 8) * 8;
  }
  return processes;
}
