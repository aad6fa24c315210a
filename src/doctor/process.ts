/** What this process may do: its capabilities and its limit of open files. */
import { type Capability, hasCapability, lackingForPrograms } from "../native/capabilities.ts";
import { capabilitiesNeeded, needsText } from "../native/privileges.ts";
import { lookingIntoContainers } from "../profiles.ts";
import { fail, type Finding, type HostFiles, ok, warn } from "./finding.ts";
import { isOlder, parseRelease } from "./kernel.ts";

/** From here on the kernel charges eBPF maps to the memory cgroup, not to RLIMIT_MEMLOCK. */
const WITHOUT_MEMLOCK = [5, 11] as const;

export interface Wanted {
  /** Whether eBPF programs are to be loaded. */
  readonly programs: boolean;
  /** Names of the enabled collectors. */
  readonly collectors: readonly string[];
}

export function capabilities(proc: HostFiles, { programs, collectors }: Wanted): Finding {
  const status = proc.readText("self/status");
  const has = (name: Capability) => hasCapability(status, name);
  const shown = (["BPF", "PERFMON", "SYS_ADMIN", "SYS_PTRACE"] as const).filter(has);
  const looking = lookingIntoContainers(collectors);
  const missing = programs ? lackingForPrograms(status) : [];
  const lacking = (names: readonly string[]) =>
    `${shown.length === 0 ? "none of those it uses" : shown.join(", ")}; lacks ${names.join(" and ")}`;
  const withoutPtrace = looking.length > 0 && !has("SYS_PTRACE");
  if (missing.length > 0) {
    const lacks = [...missing, ...(withoutPtrace ? ["SYS_PTRACE"] : [])];
    const advice = `run the agent as root or with ${lacks.map((name) => `CAP_${name}`).join(", ")}; ` +
      "KPOD_BPF_ENABLED=false does without eBPF";
    return fail("capabilities", lacking(lacks), advice);
  }
  if (withoutPtrace) {
    const advice = `add CAP_SYS_PTRACE; without it ${
      looking.join(", ")
    } has no series of other users' containers`;
    return warn("capabilities", lacking(["SYS_PTRACE"]), advice);
  }
  if (programs && !has("SYS_RESOURCE") && isMemoryLocked(proc)) {
    const advice =
      "add CAP_SYS_RESOURCE, or raise the limit of locked memory: before Linux 5.11 eBPF maps count as such";
    return warn("capabilities", lacking(["SYS_RESOURCE"]), advice);
  }
  return ok("capabilities", shown.length === 0 ? "none, and none is needed" : shown.join(", "));
}

/**
 * What the agent would keep of its capabilities when it has started, and why.
 *
 * @param isContainer Whether it is in a pod of those it watches, whose cgroup stays as long as it does.
 */
export function privileges(
  proc: HostFiles,
  { programs, collectors }: Wanted,
  isContainer: boolean,
  needed: typeof capabilitiesNeeded = capabilitiesNeeded,
): Finding {
  const containers = lookingIntoContainers(collectors).length > 0;
  const work = { programs: programs && !isContainer, maps: programs, containers };
  const needs = needed(proc.readText("self/status"), work);
  return ok("privileges", `capabilities kept after the start: ${needsText(needs)}`);
}

function isMemoryLocked(proc: HostFiles): boolean {
  const version = parseRelease(proc.readText("sys/kernel/osrelease"));
  const isLimited = limitOf(proc, "Max locked memory") !== Infinity;
  return version !== undefined && isOlder(version, WITHOUT_MEMLOCK) && isLimited;
}

/** io.stat, cpu.stat, four files of memory, three of pressure, pids.current, cgroup.events, and /proc/PID/root. */
const FILES_OF_CONTAINER = 12;

/** What the runtime, the library, the programs and maps, and scrapes keep open. */
const FILES_OF_AGENT = 200;

export function openFiles(proc: HostFiles, containers: number): Finding {
  const limit = limitOf(proc, "Max open files");
  const expected = FILES_OF_AGENT + FILES_OF_CONTAINER * containers;
  const most = limit === Infinity ? "no limit of open files" : `at most ${limit} open files`;
  const found = `${most}; ${containers} containers take up to ${expected}`;
  if (expected <= limit) return ok("open files", found);
  const advice =
    `raise the limit to ${2 * expected} or more (LimitNOFILE= of the container runtime's unit), ` +
    "or take a smaller KPOD_PROFILE";
  return warn("open files", found, advice);
}

/**
 * A soft limit of /proc/self/limits, the first of two columns (proc_pid_limits(5)):
 *
 * ```text
 * Max open files            1024                 524288               files
 * ```
 */
function limitOf(proc: HostFiles, name: string): number {
  const [, soft = "unlimited"] = new RegExp(`^${name}\\s+(\\S+)`, "m").exec(proc.readText("self/limits")) ??
    [];
  return soft === "unlimited" ? Infinity : Number(soft);
}
