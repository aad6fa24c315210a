/** Processes with mounts, and filesystems that answer, fail or hang, in place of the host's. */
import type { Root } from "../../src/collectors/filesystem.ts";
import { NativeError } from "../../src/native/error.ts";
import type { FilesystemSize } from "../../src/native/host_files.ts";
import { parseMountInfo } from "../../src/parse/mountinfo.ts";

/** A filesystem by its mount point; by default it has a thousand blocks of a byte. */
export interface FakeFilesystem {
  readonly blocks?: number;
  /** The mount that the path leads to. @default what mountinfo says */
  readonly mountId?: number;
  /** An error number to answer with. */
  readonly error?: number;
  /** `never` keeps a call waiting until it is told otherwise. @default at once */
  readonly answer?: "never";
}

const [ENOENT, EACCES, EBUSY, ETIMEDOUT] = [2, 13, 16, 110];

export class FakeHost {
  /** Mount points at which a file is mounted. */
  files: readonly string[] = [];
  /** Mount points asked for their size, in order. */
  readonly asked: string[] = [];
  openRoots = 0;
  readonly #mountinfo = new Map<number, string>();
  readonly #denied = new Set<number>();
  readonly #filesystems = new Map<string, FakeFilesystem>();
  readonly #waiting = new Map<string, { key: string; call: PromiseWithResolvers<void> }>();
  /** Keys of calls that have timed out and hang on, by mount point. */
  readonly #hanging = new Map<string, string>();

  mountinfo(pid: number, text: string): void {
    this.#mountinfo.set(pid, text);
  }

  mounts(pid: number, lines: readonly string[]): void {
    this.mountinfo(pid, lines.map((line) => `${line}\n`).join(""));
  }

  /** The process has ended. */
  forget(pid: number): void {
    this.#mountinfo.delete(pid);
  }

  deny(...pids: readonly number[]): void {
    for (const pid of pids) this.#denied.add(pid);
  }

  set(mountPoint: string, filesystem: FakeFilesystem): void {
    this.#filesystems.set(mountPoint, filesystem);
  }

  /** The call that waits is answered; later ones wait again. */
  answer(mountPoint: string, filesystem: FakeFilesystem): void {
    const before = this.#filesystems.get(mountPoint) ?? {};
    this.set(mountPoint, filesystem);
    const waiting = this.#waiting.get(mountPoint);
    this.#waiting.delete(mountPoint);
    waiting?.call.resolve();
    // The call reads its filesystem as soon as it goes on.
    queueMicrotask(() => queueMicrotask(() => this.set(mountPoint, before)));
  }

  /** The call that waits comes to the end of its time. */
  timeOut(mountPoint: string): void {
    const waiting = this.#waiting.get(mountPoint);
    if (waiting === undefined) return;
    this.#waiting.delete(mountPoint);
    this.#hanging.set(mountPoint, waiting.key);
    waiting.call.reject(new NativeError(`statfs ${mountPoint}`, ETIMEDOUT));
  }

  /** The kernel lets go of the call that hung; the next one hangs again. */
  releaseOnly(mountPoint: string): void {
    this.#hanging.delete(mountPoint);
  }

  /** The filesystem works again. */
  release(mountPoint: string): void {
    this.releaseOnly(mountPoint);
    this.#filesystems.delete(mountPoint);
  }

  open(path: string): Root {
    const pid = Number(/^\/proc\/(\d+)\/root$/.exec(path)?.[1] ?? 0);
    if (this.#denied.has(pid)) throw new NativeError(`open ${path}`, EACCES);
    this.openRoots++;
    let isOpen = true;
    return {
      readText: (relative) => this.#readText(relative),
      statfs: (relative, _, key = "") => this.#statfs(pid, relative, key),
      close: () => {
        if (isOpen) this.openRoots--;
        isOpen = false;
      },
    };
  }

  #readText(relative: string): string {
    const text = this.#mountinfo.get(Number(/^(\d+)\/mountinfo$/.exec(relative)?.[1]));
    if (text === undefined) throw new NativeError(`read ${relative}`, ENOENT);
    return text;
  }

  async #statfs(pid: number, relative: string, key: string): Promise<FilesystemSize> {
    if ([...this.#hanging.values()].includes(key)) throw new NativeError(`statfs ${relative}`, EBUSY);
    if (pid === 0) return this.#size(0, "/proc");
    const mountPoint = relative === "." ? "/" : `/${relative}`;
    this.asked.push(mountPoint);
    if (this.#filesystems.get(mountPoint)?.answer === "never") {
      const call = Promise.withResolvers<void>();
      this.#waiting.set(mountPoint, { key, call });
      await call.promise;
    }
    const error = this.#filesystems.get(mountPoint)?.error;
    if (error !== undefined) throw new NativeError(`statfs ${mountPoint}`, error);
    return this.#size(pid, mountPoint);
  }

  #size(pid: number, mountPoint: string): FilesystemSize {
    const mount = parseMountInfo(this.#mountinfo.get(pid) ?? "").mounts.find((each) =>
      each.mountPoint === mountPoint
    );
    const { blocks = 1000, mountId = mount?.mountId } = this.#filesystems.get(mountPoint) ?? {};
    return {
      capacityBytes: blocks,
      freeBytes: blocks * 0.3,
      availableBytes: blocks * 0.25,
      files: 0,
      filesFree: 0,
      type: 0,
      device: mount?.device ?? "",
      isDirectory: !this.files.includes(mountPoint),
      mountId,
    };
  }
}
