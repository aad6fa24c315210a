/**
 * Host files through the native library: the runtime refuses `/proc` and `/sys` to a program that may not do
 * everything. All paths but those of `HostRoot.open` and `readHostFile` are relative to a root and cannot leave it.
 */

import { basename, dirname } from "node:path";
import { checked, NativeError } from "./error.ts";
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

/** A filesystem's size, as `df` counts it. */
export interface FilesystemSize {
  readonly capacityBytes: number;
  readonly freeBytes: number;
  /** Free to an unprivileged user. */
  readonly availableBytes: number;
  readonly files: number;
  readonly filesFree: number;
  /** The filesystem's magic number, see statfs(2). */
  readonly type: number;
  /** `major:minor` as in `/proc/PID/mountinfo`. */
  readonly device: string;
  /** Whether the path that was asked about is a directory. */
  readonly isDirectory: boolean;
  /** The mount it led to, as in `/proc/PID/mountinfo`; `undefined` before Linux 5.8. */
  readonly mountId: number | undefined;
}

const S_IFMT = 0o170000n;
const S_IFDIR = 0o040000n;

/** A directory to read beneath. */
export class HostRoot implements Disposable {
  readonly path: string;
  readonly #library: NativeLibrary;
  readonly #handle: bigint;
  readonly #buffer = new GrowingBuffer();
  #isClosed = false;
  /** What `statfs` calls under way were given: native code reads it, so nobody may collect it as garbage. */
  readonly #inFlight = new Set<readonly Uint8Array[]>();

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
      () => `read ${this.#full(relative)}`,
    );
  }

  /**
   * The directory `relative` (`"."` for the root) and those below it, parents before children, on one filesystem
   * and without following symbolic links.
   *
   * @param maxDepth How many levels below `relative` to list.
   */
  walk(relative: string, maxDepth = 32): Directory[] {
    const name = cString(relative);
    const bytes = this.#buffer.fill(
      (bytes, capacity) => this.#library.kpod_walk(this.handle, name, maxDepth, bytes, capacity),
      () => `walk ${this.#full(relative)}`,
    );
    return parseDirectories(bytes);
  }

  /**
   * The processes of a procfs, with their cgroups: all, or of these only. Those that end meanwhile, may not be looked
   * at or are in no cgroup v2 are left out.
   */
  processes(pids?: readonly number[]): ProcessCgroup[] {
    const { kpod_all_processes, kpod_processes } = this.#library;
    const some = pids && new Uint32Array(pids);
    const bytes = this.#buffer.fill(
      (bytes, capacity) =>
        some === undefined
          ? kpod_all_processes(this.handle, bytes, capacity)
          : kpod_processes(this.handle, some, some.length, bytes, capacity),
      () => `list processes in ${this.path}`,
    );
    return parseProcesses(bytes);
  }

  /**
   * The size of the filesystem that `relative` lies on. Answers in time even if that filesystem never does.
   *
   * @param key Any text that stands for the filesystem. @default the whole path
   * @throws {NativeError} `ETIMEDOUT` after `timeoutMs`; from then on `EBUSY` at once to calls with the same `key`,
   * until the filesystem lets go of the earlier one; `EAGAIN` if too many calls hang.
   */
  async statfs(
    relative: string,
    timeoutMs: number,
    key: string = this.#full(relative),
  ): Promise<FilesystemSize> {
    const handle = this.handle;
    const texts = [cString(relative), cString(key)] as const;
    const size = new BigUint64Array(10);
    this.#inFlight.add(texts);
    try {
      const result = await this.#library.kpod_statfs(handle, ...texts, timeoutMs, size);
      checked(result, () => `statfs ${this.#full(relative)}`);
    } finally {
      this.#inFlight.delete(texts);
      this.#closeWhenIdle();
    }
    return filesystemSize(size);
  }

  /** Closes the root; calls of `statfs` that are under way still finish. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closeWhenIdle();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #closeWhenIdle(): void {
    if (this.#isClosed && this.#inFlight.size === 0) this.#library.kpod_root_close(this.#handle);
  }

  #full(relative: string): string {
    return `${this.path}/${relative}`.replaceAll(/\/+/g, "/");
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

/** Reads the records of `struct kpod_process` in `native/kpod_files.h`. */
function parseProcesses(bytes: Uint8Array<ArrayBuffer>): ProcessCgroup[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder();
  const processes: ProcessCgroup[] = [];
  for (let at = 0; at < bytes.length;) {
    const pid = view.getUint32(at, true);
    const start = at + 8;
    const end = start + view.getUint32(at + 4, true);
    processes.push({ pid, cgroup: decoder.decode(bytes.subarray(start, end)) });
    at = Math.ceil(end / 8) * 8;
  }
  return processes;
}

/** Reads `struct kpod_statfs` of `native/kpod_files.h`. */
function filesystemSize(fields: BigUint64Array): FilesystemSize {
  const [
    blockSize = 0n,
    blocks = 0n,
    free = 0n,
    available = 0n,
    files = 0n,
    filesFree = 0n,
    type = 0n,
    device = 0n,
    mode = 0n,
    mountId = 0n,
  ] = fields;
  return {
    capacityBytes: Number(blocks * blockSize),
    freeBytes: Number(free * blockSize),
    availableBytes: Number(available * blockSize),
    files: Number(files),
    filesFree: Number(filesFree),
    type: Number(type),
    device: `${device >> 32n}:${device & 0xffff_ffffn}`,
    isDirectory: (mode & S_IFMT) === S_IFDIR,
    mountId: mountId === 0n ? undefined : Number(mountId),
  };
}
