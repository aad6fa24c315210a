/** The native library, `libkpod.so`: where it is, and the one place that opens it. */

import { fileURLToPath } from "node:url";
import { BPF_SYMBOLS } from "./bpf_symbols.ts";
import { FILE_SYMBOLS } from "./files_symbols.ts";
import { MEMORY_SYMBOLS } from "./memory_symbols.ts";
import { WEB_SYMBOLS } from "./web_symbols.ts";
import { PRIVILEGES_SYMBOLS } from "./privileges_symbols.ts";

/** Where `deno task build` puts the library. */
export const LIBRARY_PATH = fileURLToPath(new URL("../../native/build/libkpod.so", import.meta.url));

const SYMBOLS = {
  ...BPF_SYMBOLS,
  ...FILE_SYMBOLS,
  ...MEMORY_SYMBOLS,
  ...WEB_SYMBOLS,
  ...PRIVILEGES_SYMBOLS,
} as const satisfies Deno.ForeignLibraryInterface;

/** The library's functions, by their C names. */
export type NativeLibrary = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

let opened: NativeLibrary | undefined;

/**
 * Opens the native library, once: later calls return the same functions. It is never closed, for its threads
 * may still run.
 *
 * @throws {Error} saying what to do, if it is missing, or older than this program.
 */
export function openLibrary(): NativeLibrary {
  try {
    return opened ??= Deno.dlopen(LIBRARY_PATH, SYMBOLS).symbols;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) throw cause;
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot open the native library ${LIBRARY_PATH}: ${got}; run \`deno task build\``, {
      cause,
    });
  }
}
