/** Where the outer brackets of a JSON text are that arrives in pieces; what is within the inner ones is passed over. */

/** What a byte of JSON is; a comma, a number and the like are nothing to this. */
const OTHER = 0, QUOTE = 1, OPEN = 2, CLOSE = 3;
const KINDS = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return character === '"'
    ? QUOTE
    : "{[".includes(character)
    ? OPEN
    : "}]".includes(character)
    ? CLOSE
    : OTHER;
});
const DOUBLE_QUOTE = 0x22, BACKSLASH = 0x5c;

export class JsonBrackets {
  readonly #inner: number;
  #depth = 0;
  #inString = false;
  /** Bytes of the next piece that a backslash at the end of the last one takes. */
  #escaped = 0;

  /** Brackets that open when so many are open, and those within, are inner ones. */
  constructor(inner: number) {
    this.#inner = inner;
  }

  /** Brackets that are open. */
  get depth(): number {
    return this.#depth;
  }

  /**
   * The index of the next outer bracket, from an index on; the piece's length if there is none. The next call is to go on
   * behind it, or with the piece that follows from 0 on. It is one function without calls, for the compiler: it sees
   * every byte.
   */
  next(piece: Uint8Array, from: number): number {
    const { length } = piece;
    const inner = this.#inner;
    let depth = this.#depth, inString = this.#inString, at = from === 0 ? this.#escaped : from;
    for (;; at++) {
      if (inString) {
        while (at < length && piece[at] !== DOUBLE_QUOTE) at += piece[at] === BACKSLASH ? 2 : 1;
        if (at >= length) break;
        inString = false;
        at++;
      }
      while (at < length && KINDS[piece[at] as number] === OTHER) at++;
      if (at >= length) break;
      const kind = KINDS[piece[at] as number];
      if (kind === QUOTE) inString = true;
      else if (kind === OPEN ? depth++ < inner : --depth < inner) break;
    }
    this.#depth = depth;
    this.#inString = inString;
    this.#escaped = Math.max(0, at - length);
    return Math.min(at, length);
  }
}

/** V8 drops what it has compiled of a class with the last object of it: between two polls there would be none. */
export const LASTING = new JsonBrackets(0);
