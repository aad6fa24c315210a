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
  readonly #waiting: (() => void)[] = [];
  #free: number;
  #taken = 0;

  constructor(count: number) {
    this.#free = count;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Waits for a place; disposing of it gives it back. */
  async take(): Promise<Disposable> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#taken++;
    return {
      [Symbol.dispose]: () => {
        this.#taken--;
        const next = this.#waiting.shift();
        if (next === undefined) this.#free++;
        else next();
      },
    };
  }
}
