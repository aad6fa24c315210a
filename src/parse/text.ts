/**
 * What the kernel's text files have in common: lines, each ended by a newline, and unsigned 64-bit numbers in
 * decimal. Whatever departs from that is not understood rather than guessed at: a metric that is missing for
 * a cycle does less harm than a wrong one.
 */

/** A file's lines. */
export interface Lines {
  readonly complete: readonly string[];
  /**
   * What follows the last newline: nothing in a whole file. A number in it may have lost digits, as happens
   * where the kernel's own buffer is too small: memory.stat is put together in a single page.
   */
  readonly rest: string;
}

/**
 * Splits a file at its newlines and nowhere else: a carriage return is an ordinary character of a mount point.
 */
export function splitLines(text: string): Lines {
  const complete = text.split("\n");
  const rest = complete.pop() ?? "";
  return { complete, rest };
}

const DECIMAL = /^(?:0|[1-9][0-9]{0,19})$/;
const U64_MAX = "18446744073709551615";

/**
 * Reads what `%llu` prints: exact up to 2^53, above that the nearest double.
 *
 * @returns `undefined` for anything else: signs, fractions, exponents, leading zeros, more than 64 bits.
 */
export function parseUnsigned(text: string): number | undefined {
  if (!DECIMAL.test(text) || text.length === U64_MAX.length && text > U64_MAX) return undefined;
  return Number(text);
}

const DEVICE = /^(?:0|[1-9][0-9]*):(?:0|[1-9][0-9]*)$/;

/** Whether this is a device's `major:minor`. */
export function isDevice(text: string): boolean {
  return DEVICE.test(text);
}
