/**
 * io.stat, a nested keyed file (Documentation/admin-guide/cgroup-v2.rst, "IO Interface Files").
 *
 * ```text
 * 11:0
 * 254:16 rbytes=3747840 wbytes=0 rios=66 wios=0 dbytes=0 dios=0
 * 254:0 rbytes=77598720 wbytes=23384064 rios=866 wios=3798 dbytes=0 dios=0 cost.usage=0
 * ```
 *
 * What kernels print besides (`blkcg_print_one_stat` in block/blk-cgroup.c):
 * - a device that did nothing for this cgroup: its number alone, and from 5.15 to 5.18 without a
 *   newline, so that the next device follows on the same line: `7:7 7:6 254:0 rbytes=…`;
 * - the keys of I/O controllers, after one or two spaces: `cost.wait=`, `use_delay=`, `missed=`, …;
 * - `(unknown)` for the paths of a multipath NVMe, which have no number.
 */

import { isDevice, parseUnsigned, splitLines } from "./text.ts";

/** What a cgroup and those below it did on one block device. */
export interface DeviceIo {
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Read requests. */
  readonly reads: number;
  /** Write requests. */
  readonly writes: number;
}

/** The content of an io.stat. */
export interface IoStat {
  /** By `major:minor`. A device without numbers is left out: the kernel prints none that are all 0. */
  readonly devices: ReadonlyMap<string, DeviceIo>;
  /** Devices and lines that were not understood. */
  readonly skipped: number;
}

const UNNAMED = "(unknown)";

/** A device's number and the `key=value` words behind it. */
interface Row {
  readonly device: string;
  readonly words: string[];
}

/**
 * Reads an io.stat. Keys may come in any order; of a device whose four numbers are not all there, none is taken.
 *
 * There is one row for each request queue. Two with the same number are two devices that had it one after the
 * other, so what they say is added up.
 */
export function parseIoStat(text: string): IoStat {
  const devices = new Map<string, DeviceIo>();
  const { complete, rest } = splitLines(text);
  let skipped = rest.includes("=") ? 1 : 0;
  for (const line of complete) {
    const rows = rowsOf(line);
    if (rows === undefined) skipped++;
    for (const { device, words } of rows ?? []) {
      const io = deviceIo(words);
      if (io === "idle") continue;
      if (io === "malformed" || device === UNNAMED) skipped++;
      else devices.set(device, sum(devices.get(device), io));
    }
  }
  return { devices, skipped };
}

/** Splits a line, or gives it up if it has a word that is neither a device nor `key=value`. */
function rowsOf(line: string): Row[] | undefined {
  const rows: Row[] = [];
  for (const word of line.split(" ")) {
    if (word === "") continue;
    if (word === UNNAMED || isDevice(word)) rows.push({ device: word, words: [] });
    else if (rows.length > 0 && word.indexOf("=") > 0) rows.at(-1)?.words.push(word);
    else return undefined;
  }
  return rows;
}

const KEYS = ["rbytes", "wbytes", "rios", "wios"];

/** `idle` if the kernel printed no I/O for the device at all. */
function deviceIo(words: readonly string[]): DeviceIo | "idle" | "malformed" {
  const values: (number | undefined)[] = [];
  for (const word of words) {
    const equals = word.indexOf("=");
    const index = KEYS.indexOf(word.slice(0, equals));
    if (index < 0) continue;
    if (index in values) return "malformed";
    values[index] = parseUnsigned(word.slice(equals + 1));
  }
  if (values.length === 0) return "idle";
  const [readBytes, writtenBytes, reads, writes] = values;
  const isWhole = readBytes !== undefined && writtenBytes !== undefined && reads !== undefined &&
    writes !== undefined;
  return isWhole ? { readBytes, writtenBytes, reads, writes } : "malformed";
}

function sum(earlier: DeviceIo | undefined, io: DeviceIo): DeviceIo {
  if (earlier === undefined) return io;
  return {
    readBytes: earlier.readBytes + io.readBytes,
    writtenBytes: earlier.writtenBytes + io.writtenBytes,
    reads: earlier.reads + io.reads,
    writes: earlier.writes + io.writes,
  };
}
