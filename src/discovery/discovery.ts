/** Keeps asking the kubelet which pods this node has, and keeps the last good answer while it cannot be had. */
import type { LogFields, Logger } from "../log.ts";
import { KUBELET_ERROR_REASONS, KubeletError } from "./kubelet_error.ts";
import { parsePodList, type Pod, type PodList } from "./pod.ts";

/** What is known of the node's pods; a value that is never changed afterwards. */
export interface DiscoveryState {
  /**
   * The last good list, as the kubelet gave it. A restarted kubelet answers an empty list, then partial ones,
   * while every container runs on: what exists is to be asked of the cgroup tree.
   */
  readonly pods: readonly Pod[];
  /** When the last good list came, in milliseconds since the epoch. */
  readonly lastSuccess: number | undefined;
  /** Good lists so far. */
  readonly generation: number;
  /** Failures so far by reason, from zero: failed polls, and `malformed_pod` for each such pod of each list. */
  readonly errors: ReadonlyMap<string, number>;
  /** Pods of the last good list that could not be read. */
  readonly malformed: number;
}

/** Calls `callback` once after `ms` milliseconds; the function returned prevents that. */
export type Schedule = (callback: () => void, ms: number) => () => void;

/** How to poll. */
export interface DiscoveryOptions {
  /** Between regular polls, in milliseconds. */
  readonly intervalMs: number;
  readonly log: Logger;
  /** Gets every good list, those too that another has replaced before anyone asks for the state. */
  readonly onPods?: (pods: readonly Pod[]) => void;
  /** @default Date.now */
  readonly now?: () => number;
  /** @default setTimeout */
  readonly schedule?: Schedule;
}

/** Polls out of turn begin at least this long after the poll before. */
const EARLY_POLL_SPACING_MS = 1000;

/** The first retry while the kubelet has never answered; each further one waits twice as long. */
const FIRST_RETRY_MS = 1000;

/** How often a trouble that lasts is logged again. */
const REMINDER_MS = 5 * 60 * 1000;

/** The poller. It does nothing before `start()`, or the first `poll()`. */
export class Discovery {
  readonly #fetchPods: (signal: AbortSignal) => Promise<unknown>;
  readonly #intervalMs: number;
  readonly #log: Logger;
  readonly #onPods: (pods: readonly Pod[]) => void;
  readonly #now: () => number;
  readonly #schedule: Schedule;
  readonly #stopping = new AbortController();
  readonly #failing: Trouble;
  readonly #malformed: Trouble;
  #state: DiscoveryState = {
    pods: [],
    lastSuccess: undefined,
    generation: 0,
    errors: new Map([...KUBELET_ERROR_REASONS, "internal", "malformed_pod"].map((reason) => [reason, 0])),
    malformed: 0,
  };
  #started = false;
  #running: Promise<boolean> | undefined;
  #lastStart: number | undefined;
  #retryMs = FIRST_RETRY_MS;
  #cancelRegular: (() => void) | undefined;
  #cancelEarly: (() => void) | undefined;

  /** `fetchPods` returns the kubelet's parsed answer; its signal is aborted by `stop()`. */
  constructor(fetchPods: (signal: AbortSignal) => Promise<unknown>, options: DiscoveryOptions) {
    this.#fetchPods = fetchPods;
    this.#intervalMs = options.intervalMs;
    this.#log = options.log;
    this.#onPods = options.onPods ?? (() => {});
    this.#now = options.now ?? Date.now;
    this.#schedule = options.schedule ?? scheduleTimeout;
    this.#failing = new Trouble(options.log, "The kubelet answers, after failed polls");
    this.#malformed = new Trouble(options.log, "All pods can be read again");
  }

  /** What is known now. */
  get state(): DiscoveryState {
    return this.#state;
  }

  /**
   * Polls now, or joins the poll that is under way. Returns whether there is a new good list; never throws, and
   * does nothing once stopped.
   */
  poll(): Promise<boolean> {
    if (this.#stopping.signal.aborted) return Promise.resolve(false);
    this.#running ??= this.#poll().finally(() => this.#running = undefined);
    return this.#running;
  }

  /**
   * Asks for a poll out of turn, as when a cgroup of an unknown pod turns up. It begins at once, or a second after
   * the last poll began; several requests in that time are one.
   */
  pollEarly(): void {
    if (this.#cancelEarly !== undefined || this.#stopping.signal.aborted) return;
    const elapsed = this.#lastStart === undefined ? Infinity : this.#now() - this.#lastStart;
    // A clock that was set back must not hold polls up.
    if (elapsed < 0 || elapsed >= EARLY_POLL_SPACING_MS) return void this.poll();
    this.#cancelEarly = this.#schedule(() => {
      this.#cancelEarly = undefined;
      void this.poll();
    }, EARLY_POLL_SPACING_MS - elapsed);
  }

  /** Polls at once, and then every interval; sooner while the kubelet has never answered. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    void this.#pollRegularly();
  }

  /** Ends polling for good, breaks off a poll under way and returns when it is over. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancelRegular?.();
    this.#cancelEarly?.();
    await this.#running;
  }

  async #pollRegularly(): Promise<void> {
    const began = this.#now();
    await this.poll();
    if (this.#stopping.signal.aborted) return;
    this.#cancelRegular = this.#schedule(() => void this.#pollRegularly(), this.#pause(this.#now() - began));
  }

  /** Milliseconds until the next regular poll, after one that took `took`. */
  #pause(took: number): number {
    if (this.#state.generation > 0) return Math.min(this.#intervalMs, Math.max(0, this.#intervalMs - took));
    const retry = this.#retryMs;
    this.#retryMs *= 2;
    return Math.min(retry, this.#intervalMs);
  }

  async #poll(): Promise<boolean> {
    this.#lastStart = this.#now();
    try {
      const list = readList(await this.#fetchPods(this.#stopping.signal));
      this.#accept(list);
      return true;
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#reject(error);
      return false;
    }
  }

  #accept({ pods, malformed }: PodList): void {
    const now = this.#now();
    const first = this.#state.generation === 0;
    this.#count("malformed_pod", malformed.length);
    this.#state = {
      ...this.#state,
      pods,
      lastSuccess: now,
      generation: this.#state.generation + 1,
      malformed: malformed.length,
    };
    this.#onPods(pods);
    const recovered = this.#failing.end(now);
    if (first && !recovered) this.#log.info("The kubelet answers", { pods: pods.length });
    const [example] = malformed;
    if (example === undefined) return void this.#malformed.end(now);
    const fields = { ...example, malformed: malformed.length };
    this.#malformed.report(now, "Some pods cannot be read and are left out", fields);
  }

  #reject(error: unknown): void {
    const reason = error instanceof KubeletError ? error.reason : "internal";
    const message = error instanceof Error ? error.message : String(error);
    this.#count(reason, 1);
    this.#failing.report(this.#now(), message, { reason });
  }

  #count(reason: string, by: number): void {
    if (by === 0) return;
    const errors = new Map(this.#state.errors);
    errors.set(reason, (errors.get(reason) ?? 0) + by);
    this.#state = { ...this.#state, errors };
  }
}

/** Something that goes wrong for a while: logged when it begins, now and then while it lasts, and when it ends. */
class Trouble {
  readonly #log: Logger;
  readonly #over: string;
  #since: number | undefined;
  #logged = 0;
  #times = 0;

  constructor(log: Logger, over: string) {
    this.#log = log;
    this.#over = over;
  }

  report(now: number, message: string, fields: LogFields): void {
    this.#times++;
    const due = this.#since === undefined || now < this.#logged || now - this.#logged >= REMINDER_MS;
    this.#since ??= now;
    if (!due) return this.#log.debug(message, fields);
    this.#logged = now;
    this.#log.warn(message, { ...fields, times: this.#times });
  }

  /** Returns whether there was anything to end. */
  end(now: number): boolean {
    if (this.#since === undefined) return false;
    this.#log.info(this.#over, { seconds: Math.round((now - this.#since) / 1000), times: this.#times });
    this.#since = undefined;
    this.#times = 0;
    return true;
  }
}

function readList(body: unknown): PodList {
  try {
    return parsePodList(body);
  } catch (error) {
    throw new KubeletError("body", error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function scheduleTimeout(callback: () => void, ms: number): () => void {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
}
