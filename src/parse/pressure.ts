/**
 * Pressure stall information of a cgroup (Documentation/accounting/psi.rst): cpu.pressure, memory.pressure,
 * io.pressure, irq.pressure.
 *
 * ```text
 * some avg10=0.51 avg60=0.52 avg300=0.33 total=2249478
 * full avg10=0.41 avg60=0.46 avg300=0.27 total=1861345
 * ```
 *
 * Only the totals, in microseconds, are read: the averages are the kernel's own rates of the same numbers.
 *
 * cpu.pressure has no `full` before Linux 5.13, irq.pressure has no `some`. At the root cgroup the CPU's `full`
 * means nothing and is always 0. With PSI switched off (`psi=0`, `CONFIG_PSI_DEFAULT_DISABLED`) the files are
 * missing or reading them fails with EOPNOTSUPP.
 */

import { parseUnsigned, splitLines } from "./text.ts";

/** Time lost for want of one resource. What the file does not say is `undefined`, which is not the same as 0. */
export interface Pressure {
  /** Seconds in which at least one task waited. */
  readonly someSeconds: number | undefined;
  /** Seconds in which all tasks that had something to do waited at the same time. */
  readonly fullSeconds: number | undefined;
}

const MICROSECONDS = 1e6;

/** Reads a pressure file. */
export function parsePressure(text: string): Pressure {
  const totals = new Map<string, number>();
  for (const line of splitLines(text).complete) {
    const [share = "", ...fields] = line.split(" ");
    const total = totalOf(fields);
    if (total !== undefined && !totals.has(share)) totals.set(share, total / MICROSECONDS);
  }
  return { someSeconds: totals.get("some"), fullSeconds: totals.get("full") };
}

/** The `total=…`, or `undefined` if any field has no name or the name of another: then two lines ran together. */
function totalOf(fields: readonly string[]): number | undefined {
  const values = new Map<string, string>();
  for (const field of fields) {
    const equals = field.indexOf("=");
    const name = field.slice(0, equals);
    if (equals <= 0 || values.has(name)) return undefined;
    values.set(name, field.slice(equals + 1));
  }
  return parseUnsigned(values.get("total") ?? "");
}
