/**
 * Flat keyed files (Documentation/admin-guide/cgroup-v2.rst, "Format"): cpu.stat, memory.stat, memory.events.
 *
 * ```text
 * usage_usec 5149499
 * user_usec 342484
 * system_usec 4807014
 * ```
 */

import { parseUnsigned } from "./text.ts";

/**
 * The value of a key, in the file's own unit. A line that is not one key, one space and one number is left out.
 *
 * The kernel prints each key once. Should one come again, the first stands, so that nothing that is added to the
 * end of a file can change what was read before it.
 */
export function flatKeyedValue(text: string, key: string): number | undefined {
  const start = `${key} `;
  for (let at = text.indexOf(start); at >= 0; at = text.indexOf(start, at + 1)) {
    if (at > 0 && text[at - 1] !== "\n") continue;
    const end = text.indexOf("\n", at);
    const value = end < 0 ? undefined : parseUnsigned(text.slice(at + start.length, end));
    if (value !== undefined) return value;
  }
  return undefined;
}
