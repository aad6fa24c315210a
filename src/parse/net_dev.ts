/**
 * `/proc/PID/net/dev`: the interfaces of a process's network namespace (proc_pid_net(5), `dev_seq_printf_stats`
 * in net/core/net-procfs.c).
 *
 * ```text
 * Inter-|   Receive                                                |  Transmit
 *  face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
 *     lo:  193030    2494    0    0    0     0          0         0   193030    2494    0    0    0     0       0          0
 *   eth0:  154885    1562    0    0    0     0          0         0   135922    1641    0    0    0     0       0          0
 * ```
 */

import { parseUnsigned, splitLines } from "./text.ts";

/** An interface's totals since it was made. */
export interface InterfaceCounters {
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  /** Includes packets the device itself missed for want of buffers (`rx_missed_errors`). */
  readonly rxDrops: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDrops: number;
}

/** The content of a net/dev. */
export interface NetDev {
  /** By name, which is unique in its namespace. */
  readonly interfaces: ReadonlyMap<string, InterfaceCounters>;
  /** Lines that were not understood. */
  readonly skipped: number;
}

/** Without a colon, or it is the line of an interface that is called so. */
const HEADER = /^(?:Inter-| face )\|[^:]*$/;
const COLUMNS = 16;

/**
 * Reads a net/dev. The position of a number tells what it is, so a line with other than the sixteen columns that
 * kernels have printed since 2.2 is left out.
 */
export function parseNetDev(text: string): NetDev {
  const interfaces = new Map<string, InterfaceCounters>();
  const { complete, rest } = splitLines(text);
  let skipped = rest === "" ? 0 : 1;
  for (const line of complete) {
    if (line === "" || HEADER.test(line)) continue;
    // An alias, `eth0:1`, has a colon in its name; numbers have none.
    const colon = line.lastIndexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).trimStart();
    const counters = countersOf(line.slice(colon + 1));
    if (name === "" || /\s/.test(name) || counters === undefined) skipped++;
    else if (!interfaces.has(name)) interfaces.set(name, counters);
  }
  return { interfaces, skipped };
}

function countersOf(columns: string): InterfaceCounters | undefined {
  const numbers: number[] = [];
  for (let at = 0; at < columns.length;) {
    const space = columns.indexOf(" ", at);
    const end = space < 0 ? columns.length : space;
    if (end > at) {
      const number = parseUnsigned(columns.slice(at, end));
      if (number === undefined) return undefined;
      numbers.push(number);
    }
    at = end + 1;
  }
  if (numbers.length !== COLUMNS) return undefined;
  const [rxBytes = 0, rxPackets = 0, rxErrors = 0, rxDrops = 0, , , , , ...transmit] = numbers;
  const [txBytes = 0, txPackets = 0, txErrors = 0, txDrops = 0] = transmit;
  return { rxBytes, rxPackets, rxErrors, rxDrops, txBytes, txPackets, txErrors, txDrops };
}
