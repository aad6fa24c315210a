/**
 * Sizes of filesystems, of which any may never answer: a network filesystem whose server is gone, a FUSE one whose
 * daemon hangs. One call at a time is made for a filesystem, none while an earlier one hangs, and nobody waits long.
 */
import type { LogFields, Logger } from "../log.ts";
import { NativeError } from "../native/error.ts";
import type { FilesystemSize, HostRoot } from "../native/host_files.ts";
import type { Mount } from "../parse/mountinfo.ts";
import { Patience, Slots } from "./patience.ts";

export interface Question {
  /** The root that the mount point is seen from. */
  readonly root: Pick<HostRoot, "statfs">;
  readonly mount: Mount;
  /** The mounts that a path to it leads through and that may not answer. */
  readonly through: readonly Mount[];
  /** Says in the log whose mount it is. */
  readonly fields: LogFields;
}

export interface Limits {
  /** How long a round waits for answers, from the last one of a local filesystem on. @default 100 ms */
  readonly waitMs?: number;
  /** How long a call may take before it counts as hanging. @default 2000 ms */
  readonly callMs?: number;
}

interface Hanging {
  readonly fields: LogFields;
  /** Whether the call still hangs; if not, the filesystem is to be asked again. */
  isStuck: boolean;
  /** A remote one keeps its place among the calls while it hangs, so that there are never too many. */
  slot: Disposable | undefined;
}

/**
 * Calls at once, those that hang included. Together no more than KPOD_STATFS_MAX_HUNG of native/kpod_files.h, at which
 * calls for any filesystem are refused.
 */
const LOCAL_CALLS = 8;
const REMOTE_CALLS = 24;

/** Whether a filesystem depends on something that may not answer: what `df` calls remote, and FUSE. */
export function isRemote({ fsType, source }: Mount): boolean {
  return /^(?:fuse|nfs|cifs|smb|ceph|9p|afs)/.test(fsType) || source.includes(":") || source.startsWith("//");
}

export class FilesystemSizes {
  readonly #log: Pick<Logger, "info" | "warn">;
  readonly #limits: Required<Limits>;
  readonly #hanging = new Map<string, Hanging>();
  /** The last call for each filesystem, while it runs. */
  readonly #calls = new Map<string, Promise<unknown>>();
  readonly #local = new Slots(LOCAL_CALLS);
  readonly #remote = new Slots(REMOTE_CALLS);
  #late = new Map<string, FilesystemSize>();
  /** Parts that were last out of reach, as logged. */
  readonly #unreachable = new Set<string>();
  #timeouts = 0;

  constructor(log: Pick<Logger, "info" | "warn">, { waitMs = 100, callMs = 2000 }: Limits = {}) {
    this.#log = log;
    this.#limits = { waitMs, callMs };
  }

  /** Calls that took longer than they may. */
  get timeouts(): number {
    return this.#timeouts;
  }

  /**
   * Runs `work`, which may ask for sizes. An answer is `undefined` if there is none in time, or an error, or the
   * path leads to another mount by now. One that comes too late is given to the next round, which may so have it
   * if it does not do better.
   *
   * @param anywhere A root whose own filesystem always answers.
   */
  async round<T>(
    anywhere: Pick<HostRoot, "statfs">,
    work: (ask: (question: Question) => Promise<FilesystemSize | undefined>) => Promise<T>,
  ): Promise<T> {
    await Promise.all([...this.#hanging].map(([key, hanging]) => this.#look(anywhere, key, hanging)));
    const answers = new Map<string, Promise<FilesystemSize | undefined>>();
    const late = this.#late;
    this.#late = new Map();
    const patience = new Patience(this.#limits.waitMs);
    try {
      return await work((question) => {
        const { key, part } = identify(question);
        const answer = answers.get(part) ??
          Promise.race([
            this.#measure(question, key, part, patience),
            patience.over.then(() => late.get(part)),
          ]);
        answers.set(part, answer);
        return answer;
      });
    } finally {
      patience.end();
      for (const [key, { isStuck }] of this.#hanging) {
        if (!isStuck && !this.#calls.has(key)) this.#hanging.delete(key);
      }
      for (const part of this.#unreachable) {
        if (!answers.has(part)) this.#unreachable.delete(part);
      }
    }
  }

  /** Finds out whether a call hangs on: the native library refuses another one under the same key. */
  async #look(anywhere: Pick<HostRoot, "statfs">, key: string, hanging: Hanging): Promise<void> {
    try {
      await anywhere.statfs(".", this.#limits.callMs, key);
      hanging.isStuck = false;
    } catch (error) {
      hanging.isStuck = error instanceof NativeError && error.code === "EBUSY";
    }
    if (hanging.isStuck) return;
    hanging.slot?.[Symbol.dispose]();
    hanging.slot = undefined;
  }

  /** Waits for its turn and asks. */
  async #measure(
    question: Question,
    key: string,
    part: string,
    patience: Patience,
  ): Promise<FilesystemSize | undefined> {
    const mayHang = isRemote(question.mount) || question.through.length > 0;
    const slots = mayHang ? this.#remote : this.#local;
    const before = this.#calls.get(key);
    const call = async () => {
      await before?.catch(() => {});
      if (patience.isOver || this.#hanging.get(key)?.isStuck) return undefined;
      const slot = await slots.take(patience.over);
      if (slot === undefined) return undefined;
      const size = await this.#call(question, key, part).finally(() => {
        const hanging = this.#hanging.get(key);
        if (hanging?.isStuck && mayHang) hanging.slot = slot;
        else slot[Symbol.dispose]();
      });
      if (size === undefined) return undefined;
      if (patience.isOver) this.#late.set(part, size);
      else if (!mayHang) patience.renew();
      return size;
    };
    const running = call();
    this.#calls.set(key, running);
    try {
      return await running;
    } finally {
      if (this.#calls.get(key) === running) this.#calls.delete(key);
    }
  }

  async #call(
    { root, mount, fields }: Question,
    key: string,
    part: string,
  ): Promise<FilesystemSize | undefined> {
    try {
      const relative = mount.mountPoint.replace(/^\/+/, "") || ".";
      const size = await root.statfs(relative, this.#limits.callMs, key);
      const hanging = this.#hanging.get(key);
      if (hanging !== undefined) this.#log.info("filesystem answers again", hanging.fields);
      this.#hanging.delete(key);
      this.#unreachable.delete(part);
      return (size.mountId ?? mount.mountId) === mount.mountId ? size : undefined;
    } catch (error) {
      if (!(error instanceof NativeError)) throw error;
      if (error.code === "ETIMEDOUT") this.#timedOut(key, fields);
      if (error.code === "EACCES") this.#refused(part, fields);
      return undefined;
    }
  }

  #refused(part: string, fields: LogFields): void {
    if (this.#unreachable.has(part)) return;
    this.#unreachable.add(part);
    this.#log.info(
      "filesystem is left out: a directory on the way to it may be searched by its owner only; CAP_DAC_READ_SEARCH " +
        "would include it",
      fields,
    );
  }

  #timedOut(key: string, fields: LogFields): void {
    this.#timeouts++;
    const hanging = this.#hanging.get(key);
    if (hanging !== undefined) hanging.isStuck = true;
    else {
      this.#hanging.set(key, { fields, isStuck: true, slot: undefined });
      this.#log.warn("filesystem does not answer: left out until it does", fields);
      if (this.#hanging.size === REMOTE_CALLS) {
        this.#log.warn("too many filesystems do not answer: no other remote ones are asked");
      }
    }
  }
}

/**
 * What hangs as one, a filesystem as a path leads to it, and what has one answer. That is the same part of it: ext4
 * and xfs directories may have a quota of their own, which statfs then shows (`ext4_statfs_project`,
 * `xfs_qm_statvfs`), btrfs subvolumes share a device.
 */
function identify({ mount, through }: Question): { key: string; part: string } {
  const key = [...through, mount].map(({ device }) => device).join(" ");
  return { key, part: `${key} ${mount.root}` };
}
