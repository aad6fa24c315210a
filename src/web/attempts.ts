/** How often passwords are compared with hashes: that costs so much that anybody could keep the agent busy with it. */

export interface AttemptLimits {
  /** How many may wait at a time, and how many of one client. */
  readonly most: number;
  readonly mostOfPeer: number;
  /** After a wrong password nothing is compared for this many times as long as that took. */
  readonly pauseFactor: number;
}

/** Wrong passwords take a tenth of one processor at most. */
export const ATTEMPT_LIMITS: AttemptLimits = { most: 16, mostOfPeer: 2, pauseFactor: 9 };

/** Lets one comparison run at a time, in the order they came, and pauses after each that failed. */
export class Attempts {
  readonly #limits: AttemptLimits;
  readonly #waitingOf = new Map<string, number>();
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(limits = ATTEMPT_LIMITS) {
    this.#limits = limits;
  }

  /** Returns what the comparison does, or undefined, at once, where too many wait already. */
  async run(peer: string, compare: () => Promise<boolean>): Promise<boolean | undefined> {
    const ofPeer = this.#waitingOf.get(peer) ?? 0;
    if (this.#waiting >= this.#limits.most || ofPeer >= this.#limits.mostOfPeer) return undefined;
    this.#waiting++;
    this.#waitingOf.set(peer, ofPeer + 1);
    const { promise: turn, resolve: done } = Promise.withResolvers<void>();
    const before = this.#last;
    this.#last = turn;
    await before;
    const began = performance.now();
    let fits = false;
    try {
      return fits = await compare();
    } finally {
      this.#leave(peer);
      const pauseMs = fits ? 0 : this.#limits.pauseFactor * (performance.now() - began);
      setTimeout(done, pauseMs);
    }
  }

  #leave(peer: string): void {
    this.#waiting--;
    const left = (this.#waitingOf.get(peer) ?? 0) - 1;
    if (left > 0) this.#waitingOf.set(peer, left);
    else this.#waitingOf.delete(peer);
  }
}
