/**
 * Sizes of filesystems, of which any may never answer: a network filesystem whose server is gone, a FUSE one whose
 * daemon hangs. Local ones are asked all at once, one after the other; those that may hang each by itself, one call at a
 * time for a filesystem and none while an earlier one hangs. Nobody waits long.
 */
import type { LogFields, Logger } from "../log.ts";
import type { Labels } from "../metrics/family.ts";
import { hasCapability, ownStatus } from "../native/capabilities.ts";
import { NativeError } from "../native/error.ts";
import { DirectoryError, type FilesystemSize, filesystemSizes } from "../native/statfs.ts";
import type { Question } from "./container_mounts.ts";
import { Patience, Slots } from "./patience.ts";
import type { Clock } from "./processes.ts";

export interface SizesOptions {
  /** How long a local filesystem may take, and how long a round waits for others from then on. @default 100 ms */
  readonly waitMs?: number;
  /** How long a call for one of the others may take before it counts as hanging. @default 2000 ms */
  readonly callMs?: number;
  /** @default filesystemSizes */
  readonly measure?: typeof filesystemSizes;
  /** The /proc/PID/status of this process. @default ownStatus */
  readonly status?: () => string;
  /** @default performance.now */
  readonly clock?: Clock;
}

/** What is needed of the procfs. */
export type Proc = Parameters<typeof filesystemSizes>[0];

interface Hanging {
  readonly fields: LogFields;
  /** Whether the call still hangs; if not, the filesystem is to be asked again. */
  isStuck: boolean;
  /** Whether it was logged. */
  isTold: boolean;
  /** It keeps its place among the calls while it hangs, so that there are never too many. */
  slot: Disposable | undefined;
}

/**
 * Calls at once, those that hang included. It leaves local filesystems a part of KPOD_STATFS_MAX_HUNG of
 * native/kpod_files.h, at which calls for any are refused.
 */
const MOST_CALLS = 24;

/** How often it is logged at most that the same filesystem hangs. */
const TELL_EVERY_MS = 60_000;

/**
 * `undefined` where there is none in time, or an error; `moved` where the mount is not what its path leads to by now, or
 * the process has ended.
 */
export type Answer = FilesystemSize | "moved" | undefined;

interface Round {
  /** What it has found out, by part. */
  readonly found: Map<string, FilesystemSize | undefined>;
  readonly moved: Set<Question>;
  /** What came too late for the one before. */
  readonly late: ReadonlyMap<string, FilesystemSize>;
  readonly patience: Patience;
  /** The filesystems asked about that are slow. */
  readonly slow: Set<string>;
  /** Directories that cannot be opened. */
  readonly closed: Set<string>;
}

export class FilesystemSizes {
  readonly #proc: Proc;
  readonly #log: Pick<Logger, "info" | "warn">;
  readonly #options: Required<SizesOptions>;
  /** Filesystems that are local and did not answer in time all the same: they are asked by themselves until they do. */
  readonly #slow = new Set<string>();
  readonly #hanging = new Map<string, Hanging>();
  /** When each was last logged to hang, in milliseconds. */
  readonly #toldAt = new Map<string, number>();
  /** The last call for each filesystem, while it runs. */
  readonly #calls = new Map<string, Promise<unknown>>();
  readonly #slots = new Slots(MOST_CALLS);
  #late = new Map<string, FilesystemSize>();
  /** Parts that were last out of reach, as logged. */
  readonly #unreachable = new Set<string>();
  /** Whether a process may not be looked at, in this round and in the one before. */
  #isDenied = false;
  #wasDenied = false;
  #timeouts = 0;

  /** `proc` is what the questions' directories are seen from. */
  constructor(
    proc: Proc,
    log: Pick<Logger, "info" | "warn">,
    {
      waitMs = 100,
      callMs = 2000,
      measure = filesystemSizes,
      status = ownStatus,
      clock = () => performance.now(),
    }: SizesOptions = {},
  ) {
    this.#proc = proc;
    this.#log = log;
    this.#options = { waitMs, callMs, measure, status, clock };
  }

  /** Calls that took longer than they may. */
  get timeouts(): number {
    return this.#timeouts;
  }

  /**
   * Runs `work`, which may ask for sizes, again when it has got them. An answer that comes too late is given to the next
   * round, which may so have it if it does not do better.
   */
  async round<T>(
    work: (ask: (questions: readonly Question[]) => Promise<Answer[]>) => Promise<T>,
  ): Promise<T> {
    // With nothing to wait for the calls are under way when this returns, and the caller may do something else.
    if (this.#hanging.size > 0) {
      await Promise.all([...this.#hanging].map(([key, hanging]) => this.#look(key, hanging)));
    }
    const patience = new Patience(this.#options.waitMs);
    const round: Round = {
      found: new Map(),
      moved: new Set(),
      late: this.#late,
      patience,
      slow: new Set(),
      closed: new Set(),
    };
    this.#late = new Map();
    try {
      return await work(async (questions) => {
        await this.#askAll(questions, round);
        return answersOf(questions, round);
      });
    } finally {
      patience.end();
      this.#forget(round);
    }
  }

  /** Forgets what nobody asks about any more. */
  #forget({ found, slow }: Round): void {
    this.#wasDenied = this.#isDenied;
    this.#isDenied = false;
    for (const [key, time] of this.#toldAt) {
      if (this.#options.clock() - time >= TELL_EVERY_MS) this.#toldAt.delete(key);
    }
    for (const [key, { isStuck }] of this.#hanging) {
      if (!isStuck && !this.#calls.has(key)) this.#hanging.delete(key);
    }
    for (const key of this.#slow) {
      if (!slow.has(key) && !this.#hanging.has(key)) this.#slow.delete(key);
    }
    for (const part of this.#unreachable) {
      if (!found.has(part)) this.#unreachable.delete(part);
    }
  }

  /** Finds out whether a call hangs on: another one under the same key is refused. */
  async #look(key: string, hanging: Hanging): Promise<void> {
    const { measure, callMs } = this.#options;
    const [size] = await measure(this.#proc, [{ directory: ".", path: ".", key }], callMs);
    hanging.isStuck = size instanceof NativeError && size.code === "EBUSY";
    if (hanging.isStuck) return this.#tell(key, hanging);
    hanging.slot?.[Symbol.dispose]();
    hanging.slot = undefined;
  }

  /** Asks once for each part, through one directory after the other until one can be opened. */
  async #askAll(questions: readonly Question[], round: Round): Promise<void> {
    for (let left = questions;;) {
      left = unanswered(left, round);
      if (left.length === 0) return;
      await this.#ask(firstOfEachPart(left), round);
    }
  }

  async #ask(questions: readonly Question[], round: Round): Promise<void> {
    const together: Question[] = [], alone: Promise<void>[] = [];
    for (const question of questions) {
      if (question.isRemote || this.#slow.has(question.key)) alone.push(this.#measureAlone(question, round));
      else together.push(question);
    }
    await Promise.all([this.#measureTogether(together, round), ...alone]);
  }

  async #measureTogether(questions: readonly Question[], round: Round): Promise<void> {
    if (questions.length === 0) return;
    const { measure, waitMs } = this.#options;
    const sizes = await measure(this.#proc, questions, waitMs);
    round.patience.renew();
    for (const [index, question] of questions.entries()) {
      put(question, this.#accept(question, sizes[index], round), round);
    }
  }

  async #measureAlone(question: Question, round: Round): Promise<void> {
    const { key, part } = question;
    if (this.#slow.has(key)) round.slow.add(key);
    const late = round.patience.over.then(() => round.late.get(part));
    put(question, await Promise.race([this.#measure(question, round), late]), round);
  }

  /** Waits for its turn and asks. */
  async #measure(question: Question, round: Round): Promise<Answer> {
    const { patience } = round;
    const { key, part } = question;
    const before = this.#calls.get(key);
    const call = async () => {
      await before?.catch(() => {});
      if (patience.isOver || this.#hanging.get(key)?.isStuck) return undefined;
      const slot = await this.#slots.take(patience.over);
      if (slot === undefined) return undefined;
      const size = await this.#call(question, round).finally(() => {
        const hanging = this.#hanging.get(key);
        if (hanging?.isStuck) hanging.slot = slot;
        else slot[Symbol.dispose]();
      });
      if (typeof size === "object" && patience.isOver) this.#late.set(part, size);
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

  async #call(question: Question, round: Round): Promise<Answer> {
    const { key } = question;
    const { measure, callMs } = this.#options;
    const [size] = await measure(this.#proc, [question], callMs);
    const hanging = this.#hanging.get(key);
    if (size instanceof NativeError) {
      // One that was slow a round ago and is at it still.
      const isBusy = size.code === "EBUSY" && hanging === undefined;
      if (size.code === "ETIMEDOUT" || isBusy) this.#timedOut(key, fieldsOf(question));
    } else {
      if (hanging?.isTold) this.#log.info("filesystem answers again", hanging.fields);
      this.#hanging.delete(key);
      this.#slow.delete(key);
    }
    return this.#accept(question, size, round);
  }

  #accept(
    question: Question,
    size: FilesystemSize | NativeError | undefined,
    round: Round,
  ): Answer {
    const { key, part, mount } = question;
    if (size instanceof DirectoryError) {
      round.closed.add(question.directory);
      if (isDenial(size)) this.deny(question.container, size);
      return "moved";
    }
    if (size instanceof NativeError) {
      if (size.code === "ETIMEDOUT" || size.code === "EBUSY") {
        this.#slow.add(key);
        round.slow.add(key);
      }
      if (size.code === "EACCES") this.#refused(part, fieldsOf(question));
      return size.code === "ENOENT" || size.code === "ENOTDIR" ? "moved" : undefined;
    }
    this.#unreachable.delete(part);
    return (size?.mountId ?? mount.mountId) === mount.mountId ? size : "moved";
  }

  /** Tells once that a container's process may not be looked at. */
  deny({ namespace, pod, container }: Labels, { message }: NativeError): void {
    if (!this.#wasDenied && !this.#isDenied) {
      const remedy = hasCapability(this.#options.status(), "SYS_PTRACE")
        ? "CAP_SYS_PTRACE is there, so a security module such as AppArmor forbids it"
        : "grant CAP_SYS_PTRACE";
      this.#log.warn(
        `filesystems of containers are left out: their processes may not be looked at; ${remedy}`,
        { namespace, pod, container, error: message },
      );
    }
    this.#isDenied = true;
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
    const hanging = this.#hanging.get(key) ?? { fields, isStuck: true, isTold: false, slot: undefined };
    hanging.isStuck = true;
    const isNew = !this.#hanging.has(key);
    this.#hanging.set(key, hanging);
    this.#tell(key, hanging);
    if (isNew && this.#hanging.size === MOST_CALLS) {
      this.#log.warn("too many filesystems do not answer: no other remote ones are asked");
    }
  }

  /** One that hangs every now and then is told once a minute at most. */
  #tell(key: string, hanging: Hanging): void {
    const now = this.#options.clock();
    if (hanging.isTold || now - (this.#toldAt.get(key) ?? -Infinity) < TELL_EVERY_MS) return;
    hanging.isTold = true;
    this.#toldAt.set(key, now);
    this.#log.warn("filesystem does not answer: left out until it does", hanging.fields);
  }
}

/** Whether an error says that a process is there, and may not be looked at. */
export function isDenial(error: unknown): error is NativeError {
  return error instanceof NativeError && ["EACCES", "EPERM"].includes(error.code);
}

function answersOf(questions: readonly Question[], { closed, moved, found }: Round): Answer[] {
  const answers: Answer[] = [];
  for (const question of questions) {
    const isMoved = closed.has(question.directory) || moved.has(question);
    answers.push(isMoved ? "moved" : found.get(question.part));
  }
  return answers;
}

function unanswered(questions: readonly Question[], { closed, moved, found }: Round): Question[] {
  const left: Question[] = [];
  for (const question of questions) {
    if (!found.has(question.part) && !moved.has(question) && !closed.has(question.directory)) {
      left.push(question);
    }
  }
  return left;
}

function firstOfEachPart(questions: readonly Question[]): Question[] {
  const first = new Map<string, Question>();
  for (const question of questions) {
    if (!first.has(question.part)) first.set(question.part, question);
  }
  return [...first.values()];
}

function put(question: Question, answer: Answer, { found, moved }: Round): void {
  if (answer === "moved") moved.add(question);
  else found.set(question.part, answer);
}

function fieldsOf({ container: { namespace, pod, container }, mount }: Question): LogFields {
  return { namespace, pod, container, mountpoint: mount.mountPoint, type: mount.fsType };
}
