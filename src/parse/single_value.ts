/**
 * Files that hold one value (Documentation/admin-guide/cgroup-v2.rst, "Interface Files"): memory.current,
 * memory.swap.current, memory.max, pids.current, pids.max.
 *
 * ```text
 * 1474560
 * ```
 */

import { parseUnsigned, splitLines } from "./text.ts";

/**
 * Reads a file of one number, in the file's own unit.
 *
 * @returns `undefined` for a limit that is not set (`max`), and for text that is anything but one whole line
 * with one number.
 */
export function parseSingleValue(text: string): number | undefined {
  const { complete: [line, ...more], rest } = splitLines(text);
  return line === undefined || more.length > 0 || rest !== "" ? undefined : parseUnsigned(line);
}
