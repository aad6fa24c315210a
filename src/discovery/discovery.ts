/** Keeps asking the kubelet which pods this node has, and keeps the last good answer while it cannot be had. */
import type { Logger } from "../log.ts";
import { Trouble } from "../trouble.ts";
import { KUBELET_ERROR_REASONS, KubeletError } from "./kubelet_error.ts";
import type { Pod } from "./pod.ts";
import type { PodList } from "./pod_list.ts";

/** What is known of the node's pods; a value that is never changed afterwards. */
export interface DiscoveryState {
  /**
   * The last good list, as the kubelet gave it. A restarted kubelet answers an empty list, then partial ones,
   * while every container runs on: what exists is to be asked of the cgroup tree.
   */
  readonly pods: readonly Pod[];
  /** When the last good list came, in milliseconds since the epoch. */
  readonly lastSuccess: number | undefined;
  /** The same by a clock that never goes back, in milliseconds. */
  readonly answeredAt: number | undefined;
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
  /** Milliseconds of a clock that never goes back. @default performance.now */
  readonly now?: () => number;
  /** Milliseconds since the epoch. @default Date.now */
  readonly date?: () => number;
  /** @default setTimeout */
  readonly schedule?: Schedule;
  /** From 0 to below 1: how much sooner a retry comes than it might. @default Math.random */
  readonly random?: () => number;
}

/** Polls out of turn begin at least this long after the poll before. */
const EARLY_POLL_SPACING_MS = 1000;

/** The first retry after a failed poll; each further one waits twice as long, up to the interval. */
const FIRST_RETRY_MS = 1000;

/** The poller. It does nothing before `start()`, or the first `poll()`. */
export class Discovery {
  readonly #fetchPods: (signal: AbortSignal) => Promise<PodList>;
  readonly #intervalMs: number;
  readonly #log: Logger;
  readonly #onPods: (pods: readonly Pod[]) => void;
  readonly #now: () => number;
  readonly #date: () => number;
  readonly #schedule: Schedule;
  readonly #random: () => number;
  readonly #stopping = new AbortController();
  readonly #failing: Trouble;
  readonly #malformed: Trouble;
  #state: DiscoveryState = {
    pods: [],
    lastSuccess: undefined,
    answeredAt: undefined,
    generation: 0,
    errors: new Map([...KUBELET_ERROR_REASONS, "internal", "malformed_pod"].map((reason) => [reason, 0])),
    malformed: 0,
  };
  #started = false;
  #running: Promise<boolean> | undefined;
  #lastStart: number | undefined;
  /** Polls that failed since the last good one, and how long the kubelet asked to be left alone. */
  #failures = 0;
  #retryAfterMs = 0;
  #cancelRegular: (() => void) | undefined;
  #cancelEarly: (() => void) | undefined;

  /** `fetchPods` asks the kubelet; its signal is aborted by `stop()`. */
  constructor(fetchPods: (signal: AbortSignal) => Promise<PodList>, options: DiscoveryOptions) {
    this.#fetchPods = fetchPods;
    this.#intervalMs = options.intervalMs;
    this.#log = options.log;
    this.#onPods = options.onPods ?? (() => {});
    this.#now = options.now ?? (() => performance.now());
    this.#date = options.date ?? Date.now;
    this.#schedule = options.schedule ?? scheduleTimeout;
    this.#random = options.random ?? Math.random;
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
   * the last poll began; several requests in that time are one. A kubelet that fails is asked when a retry is due,
   * and not before.
   */
  pollEarly(): void {
    if (this.#cancelEarly !== undefined || this.#stopping.signal.aborted || this.#failures > 0) return;
    const elapsed = this.#lastStart === undefined ? Infinity : this.#now() - this.#lastStart;
    if (elapsed >= EARLY_POLL_SPACING_MS) return void this.#pollOutOfTurn();
    this.#cancelEarly = this.#schedule(() => {
      this.#cancelEarly = undefined;
      void this.#pollOutOfTurn();
    }, EARLY_POLL_SPACING_MS - elapsed);
  }

  /** Polls at once, and then every interval; after a failed poll sooner, and then less and less often. */
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
    this.#plan(this.#now() - began);
  }

  /** Leaves the regular polls as they are, unless it fails. */
  async #pollOutOfTurn(): Promise<void> {
    if (!await this.poll() && this.#started) this.#plan(0);
  }

  /** Plans the next regular poll, after one that took `took` milliseconds. */
  #plan(took: number): void {
    this.#cancelRegular?.();
    if (this.#stopping.signal.aborted) return;
    const pause = this.#failures === 0 ? Math.max(0, this.#intervalMs - took) : this.#backoff();
    this.#cancelRegular = this.#schedule(() => void this.#pollRegularly(), pause);
  }

  /** Milliseconds until a retry, spread so that the nodes of a cluster do not all ask at once. */
  #backoff(): number {
    const most = Math.min(this.#intervalMs, FIRST_RETRY_MS * 2 ** (this.#failures - 1));
    return Math.max(this.#retryAfterMs, most * (1 - this.#random() / 2));
  }

  async #poll(): Promise<boolean> {
    this.#lastStart = this.#now();
    try {
      this.#accept(await this.#fetchPods(this.#stopping.signal));
      return true;
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#reject(error);
      return false;
    }
  }

  #accept({ pods, malformed }: PodList): void {
    const now = this.#now();
    const first = this.#state.generation === 0;
    this.#failures = 0;
    this.#count("malformed_pod", malformed.length);
    this.#state = {
      ...this.#state,
      pods,
      lastSuccess: this.#date(),
      answeredAt: now,
      generation: this.#state.generation + 1,
      malformed: malformed.length,
    };
    this.#onPods(pods);
    const recovered = this.#failing.end(now);
    if (first && !recovered) this.#log.info("The kubelet answers", { pods: pods.length });
    const [example] = malformed;
    if (example === undefined) return void this.#malformed.end(now);
    const fields = { ...example, malformed: malformed.length };
    this.#malformed.report(now, "malformed", "Some pods cannot be read and are left out", fields);
  }

  #reject(error: unknown): void {
    const reason = error instanceof KubeletError ? error.reason : "internal";
    const message = error instanceof Error ? error.message : String(error);
    this.#count(reason, 1);
    this.#failures++;
    this.#retryAfterMs = error instanceof KubeletError ? error.retryAfterMs : 0;
    this.#failing.report(this.#now(), reason, message, { reason });
  }

  #count(reason: string, by: number): void {
    if (by === 0) return;
    const errors = new Map(this.#state.errors);
    errors.set(reason, (errors.get(reason) ?? 0) + by);
    this.#state = { ...this.#state, errors };
  }
}

function scheduleTimeout(callback: () => void, ms: number): () => void {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
}
