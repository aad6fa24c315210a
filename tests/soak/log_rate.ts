/** How often a log tells the same. */
import { causeIn } from "../../src/trouble.ts";
import type { LogLine } from "../faults/fault_lab.ts";

const MINUTE_MS = 60_000;

/** Troubles that are told again within a minute of being told, as `message (reason)`. */
export function toldTooOften(lines: readonly LogLine[]): string[] {
  const last = new Map<string, number>();
  return lines.filter(({ level }) => level === "warn" || level === "error").flatMap((line) => {
    const { time, message, reason = "", ...others } = line;
    const cause = causeIn(JSON.stringify({ ...others, message, reason, times: undefined }));
    const told = Date.parse(time);
    const before = last.get(cause) ?? -Infinity;
    last.set(cause, told);
    return told - before < MINUTE_MS ? [`${message} (${reason})`] : [];
  });
}
