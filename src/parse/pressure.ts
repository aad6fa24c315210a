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

/** Reads a pressure file; of a repeated line the first stands. */
export function parsePressure(text: string): Pressure {
  let someSeconds: number | undefined;
  let fullSeconds: number | undefined;
  for (const line of splitLines(text).complete) {
    if (line.startsWith("some ")) someSeconds ??= totalOf(line);
    else if (line.startsWith("full ")) fullSeconds ??= totalOf(line);
  }
  return { someSeconds, fullSeconds };
}

/** The `total=…`, or `undefined` if any field has no name or the name of another: then two lines ran together. */
function totalOf(line: string): number | undefined {
  const [, ...fields] = line.split(" ");
  const names: string[] = [];
  let total: number | undefined;
  for (const field of fields) {
    const equals = field.indexOf("=");
    const name = field.slice(0, equals);
    if (equals <= 0 || names.includes(name)) return undefined;
    names.push(name);
    if (name === "total") total = parseUnsigned(field.slice(equals + 1));
  }
  return total === undefined ? undefined : total / MICROSECONDS;
}
