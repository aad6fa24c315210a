/** Text as UTF-8, written piece by piece into one array: the pieces joined first would be as much again. */

/** How much longer than the last text the next may be, for what it was given room at once. */
const MARGIN = 1.1;

const ENCODER = new TextEncoder();
/** No character of JavaScript's, which has two bytes there, is more than three in UTF-8. */
const MOST_BYTES_OF_UNIT = 3;

export class TextBytes {
  #bytes: Uint8Array<ArrayBuffer>;
  #used = 0;

  /** @param room Bytes to begin with; it grows. */
  constructor(room: number) {
    this.#bytes = new Uint8Array(Math.ceil(room * MARGIN));
  }

  write(text: string): void {
    const needed = this.#used + text.length * MOST_BYTES_OF_UNIT;
    if (needed > this.#bytes.length) this.#grow(needed);
    this.#used += ENCODER.encodeInto(text, this.#bytes.subarray(this.#used)).written;
  }

  /** What was written. */
  get written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#used);
  }

  #grow(needed: number): void {
    const bytes = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    bytes.set(this.written);
    this.#bytes = bytes;
  }
}
