/** Passes on what somebody could otherwise have logged as often as they like: once a minute at most. */
export class Seldom {
  #toldAt = -Infinity;

  tell(log: () => void): void {
    const now = performance.now();
    if (now - this.#toldAt < 60_000) return;
    this.#toldAt = now;
    log();
  }
}
