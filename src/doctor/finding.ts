/** What a check of the preflight finds. */
import { NativeError } from "../native/error.ts";
import type { HostRoot } from "../native/host_files.ts";

/** `fail`: the agent could not work. `warn`: it would work with something missing, which the finding names. */
export type Status = "ok" | "warn" | "fail";

/** One line of the report. */
export interface Finding {
  readonly check: string;
  readonly status: Status;
  readonly found: string;
  /** What to do; empty where nothing is to be done. */
  readonly advice: string;
}

/** Files of the host beneath one directory, as `HostRoot` reads them. */
export type HostFiles = Pick<HostRoot, "path" | "readText" | "readFile">;

export function ok(check: string, found: string): Finding {
  return { check, status: "ok", found, advice: "" };
}

export function warn(check: string, found: string, advice: string): Finding {
  return { check, status: "warn", found, advice };
}

export function fail(check: string, found: string, advice: string): Finding {
  return { check, status: "fail", found, advice };
}

/** The text of a file, or `undefined` where there is no such file. */
export function textIfThere(files: HostFiles, path: string): string | undefined {
  try {
    return files.readText(path);
  } catch (error) {
    if (error instanceof NativeError && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Makes one check; what it throws is its own failure and no other's. */
export async function attempt(
  check: string,
  look: () => Finding | readonly Finding[] | Promise<Finding | readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return [await look()].flat();
  } catch (error) {
    const [message = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    // The errors meant for an operator end with what to do.
    const [
      ,
      found = message,
      advice = "run this with the mounts, the user and the capabilities of the agent",
    ] = /^(.+); (.+)$/.exec(message) ?? [];
    return [fail(check, found, advice)];
  }
}
