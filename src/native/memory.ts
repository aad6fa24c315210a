/** What crosses between here and native memory: strings, handles, and buffers that grow to fit. */

import { checked, NativeError } from "./error.ts";

const EINVAL = 22;
const EMSGSIZE = 90;
const FIRST_BYTES = 64 * 1024;
/** More than anything read on a node in one piece; a file without an end must not take all memory. */
const MOST_BYTES = 256 * 1024 * 1024;

/**
 * Returns a C string.
 *
 * @throws {NativeError} `EINVAL` if the text contains a NUL, which would cut it short.
 */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return cStrings([text]);
}

/** The same of several texts, one after the other. */
export function cStrings(texts: readonly string[]): Uint8Array<ArrayBuffer> {
  const wrong = texts.find(hasNul);
  if (wrong !== undefined) throw new NativeError(`use ${JSON.stringify(wrong)}`, EINVAL);
  return new TextEncoder().encode([...texts, ""].join("\0"));
}

function hasNul(text: string): boolean {
  return text.includes("\0");
}

/** Calls a function that stores a handle through its out parameter, and returns the handle: an address. */
export function openHandle(open: (out: BigUint64Array<ArrayBuffer>) => number, action: string): bigint {
  const out = new BigUint64Array(1);
  checked(open(out), () => action);
  return out[0] ?? 0n;
}

/** A buffer that is used again and again, and doubled as needed. It takes no memory before its first use. */
export class GrowingBuffer {
  #bytes: Uint8Array<ArrayBuffer> | undefined;

  /**
   * Has `call` fill the buffer, a larger one while it answers `-EMSGSIZE` or more bytes than there are.
   *
   * @returns The bytes filled, which the next call overwrites.
   * @throws {NativeError} for any other error.
   */
  fill(
    call: (bytes: Uint8Array<ArrayBuffer>, capacity: bigint) => bigint,
    action: () => string,
  ): Uint8Array<ArrayBuffer> {
    let bytes = this.#bytes ?? new Uint8Array(FIRST_BYTES);
    for (;;) {
      this.#bytes = bytes;
      const result = Number(call(bytes, BigInt(bytes.length)));
      const needed = result === -EMSGSIZE ? 2 * bytes.length : checked(result, action);
      if (needed <= bytes.length) return bytes.subarray(0, needed);
      if (needed > MOST_BYTES) throw new NativeError(action(), EMSGSIZE);
      bytes = new Uint8Array(Math.max(needed, 2 * bytes.length));
    }
  }
}

const inFlight = new Set<readonly ArrayBufferView[]>();

/** Awaits a call that runs in another thread; what it was given is no garbage until then. */
export async function keptFor<T>(buffers: readonly ArrayBufferView[], call: Promise<T>): Promise<T> {
  inFlight.add(buffers);
  try {
    return await call;
  } finally {
    inFlight.delete(buffers);
  }
}
