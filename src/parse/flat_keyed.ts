/**
 * Flat keyed files (Documentation/admin-guide/cgroup-v2.rst, "Format"): cpu.stat, memory.stat, memory.events.
 *
 * ```text
 * usage_usec 5149499
 * user_usec 342484
 * system_usec 4807014
 * ```
 */

import { parseUnsigned, splitLines } from "./text.ts";

/**
 * Reads a flat keyed file into its values by key, each in the file's own unit. A line that is not one key, one
 * space and one number is left out.
 *
 * The kernel prints each key once. Should one come again, the first stands, so that nothing that is added to the
 * end of a file can change what was read before it.
 */
export function parseFlatKeyed(text: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const line of splitLines(text).complete) {
    const space = line.indexOf(" ");
    if (space <= 0) continue;
    const key = line.slice(0, space);
    const value = parseUnsigned(line.slice(space + 1));
    if (value !== undefined && !values.has(key)) values.set(key, value);
  }
  return values;
}
