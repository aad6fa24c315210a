/** Waiting no longer than makes sense, and doing no more at once than is good. */

const MOST_TIMES = 10;

/** A time that is over some milliseconds after it was last renewed, ten times that after its beginning at the latest. */
export class Patience {
  readonly over: Promise<void>;
  readonly #end: () => void;
  readonly #milliseconds: number;
  readonly #latest: number;
  #until: number;
  #timer: ReturnType<typeof setTimeout>;
  #isOver = false;

  constructor(milliseconds: number) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.#end = resolve;
    this.#milliseconds = milliseconds;
    this.#until = performance.now() + milliseconds;
    this.#latest = performance.now() + MOST_TIMES * milliseconds;
    this.#timer = setTimeout(() => this.#check(), milliseconds);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  renew(): void {
    this.#until = Math.min(performance.now() + this.#milliseconds, this.#latest);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#isOver = true;
    this.#end();
  }

  #check(): void {
    const left = this.#until - performance.now();
    // After a pause of the whole process the answers that have come meanwhile are heard first.
    this.#timer = left > 0 ? setTimeout(() => this.#check(), left) : setTimeout(() => this.end());
  }
}

/** Places for a number of things that may be done at once. */
export class Slots {
  readonly #waiting = new Set<(isFree: boolean) => void>();
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  /** Waits for a place, which disposing of gives back; `undefined` if `over` comes first. */
  async take(over: Promise<void>): Promise<Disposable | undefined> {
    if (this.#free > 0) this.#free--;
    else if (!await this.#turn(over)) return undefined;
    return { [Symbol.dispose]: () => this.#giveBack() };
  }

  #turn(over: Promise<void>): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.add(resolve);
    over.then(() => {
      if (this.#waiting.delete(resolve)) resolve(false);
    });
    return promise;
  }

  #giveBack(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free++;
    else {
      this.#waiting.delete(next);
      next(true);
    }
  }
}
