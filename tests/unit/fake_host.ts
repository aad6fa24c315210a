/** Processes with mounts, and filesystems that answer, fail or hang, in place of the host's. */
import { NativeError } from "../../src/native/error.ts";
import {
  DirectoryError,
  type FilesystemSize,
  type filesystemSizes,
  type SizeQuestion,
} from "../../src/native/statfs.ts";
import { parseMountInfo } from "../../src/parse/mountinfo.ts";
import { FakeProc } from "./fake_proc.ts";

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
  readonly proc = new FakeProc();
  /** Mount points at which a file is mounted. */
  files: readonly string[] = [];
  /** Mount points asked for their size, in order. */
  readonly asked: string[] = [];
  /** How many filesystems were asked about at once. */
  readonly calls: number[] = [];
  /** Whether it says which mount a path leads to. */
  tellsMounts = true;
  readonly #denied = new Set<number>();
  readonly #ended = new Set<number>();
  readonly #filesystems = new Map<string, FakeFilesystem>();
  readonly #waiting = new Map<string, { key: string; call: PromiseWithResolvers<void> }>();
  /** Keys of calls that have timed out and hang on, by mount point. */
  readonly #hanging = new Map<string, string>();

  mountinfo(pid: number, text: string): void {
    this.proc.files.set(`${pid}/mountinfo`, text);
  }

  mounts(pid: number, lines: readonly string[]): void {
    this.mountinfo(pid, lines.map((line) => `${line}\n`).join(""));
  }

  /** The process has ended. */
  forget(pid: number): void {
    this.proc.files.delete(`${pid}/mountinfo`);
  }

  /** It ends when its mounts are known, and before anybody has looked at its root. */
  end(...pids: readonly number[]): void {
    for (const pid of pids) this.#ended.add(pid);
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

  /** As `filesystemSizes` does, but for what a test is to decide: when one that never answers has had its time. */
  readonly measure: typeof filesystemSizes = async (_, questions) => {
    this.calls.push(questions.length);
    const sizes: (FilesystemSize | NativeError)[] = [];
    for (const question of questions) {
      sizes.push(
        await this.#statfs(question).catch((error) => {
          if (error instanceof NativeError) return error;
          throw error;
        }),
      );
    }
    return sizes;
  };

  async #statfs({ directory, path, key }: SizeQuestion): Promise<FilesystemSize> {
    if ([...this.#hanging.values()].includes(key)) throw new NativeError(`statfs ${path}`, EBUSY);
    if (directory === ".") return this.#size(0, "/proc");
    const pid = Number(/^(\d+)\/root$/.exec(directory)?.[1]);
    if (this.#denied.has(pid)) throw new DirectoryError(`open ${directory}`, EACCES);
    if (this.#ended.has(pid)) throw new DirectoryError(`open ${directory}`, ENOENT);
    const mountPoint = path === "." ? "/" : `/${path}`;
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
    const mount = parseMountInfo(this.proc.files.get(`${pid}/mountinfo`) ?? "").mounts.find((each) =>
      each.mountPoint === mountPoint
    );
    const { blocks = 1000, mountId = mount?.mountId } = this.#filesystems.get(mountPoint) ?? {};
    return {
      capacityBytes: blocks,
      freeBytes: blocks * 0.3,
      availableBytes: blocks * 0.25,
      isDirectory: !this.files.includes(mountPoint),
      mountId: this.tellsMounts ? mountId : undefined,
    };
  }
}
