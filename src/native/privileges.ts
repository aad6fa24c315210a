/** What this process may do, and giving up what it does not need any more. */
import { type Capability, hasCapability, maskOf } from "./capabilities.ts";
import { checked } from "./error.ts";
import { openLibrary } from "./library.ts";

/** What there is to do when all is loaded. */
export interface Work {
  /** Whether eBPF programs may have to be loaded again. */
  readonly programs: boolean;
  /** Whether maps of eBPF programs are read. */
  readonly maps: boolean;
  /** Whether containers' roots are looked into. */
  readonly containers: boolean;
}

/** A capability that cannot be given up. */
export interface Need {
  readonly capability: Capability;
  readonly purpose: string;
}

/** What has become of the process's threads. */
export interface Dropped {
  /** Those that have given up their privileges. */
  readonly threads: number;
  /** Those that did not answer in time, and have theirs yet. */
  readonly left: number;
  /** Whether the kernel denies writing files and running programs from now on. */
  readonly deniesWrites: boolean;
}

const CONTAINERS: readonly Need[] = [
  { capability: "SYS_PTRACE", purpose: "to look into containers' roots" },
  { capability: "DAC_READ_SEARCH", purpose: "to reach filesystems in directories of other users" },
];

/** On kernels that have no others SYS_ADMIN is both; before Linux 5.11 maps count as locked memory. */
const PROGRAMS: readonly Need[] = (["BPF", "PERFMON", "SYS_RESOURCE"] as const).map((capability) => ({
  capability,
  purpose: "to load eBPF programs again, should the pods' cgroup be made anew",
}));

const MAPS: readonly Need[] = (["BPF", "SYS_ADMIN"] as const).map((capability) => ({
  capability,
  purpose:
    "to read eBPF maps, which Linux before 5.19 refuses without while kernel.unprivileged_bpf_disabled is set",
}));

/**
 * Which capabilities of a process are needed for its work, by the text of its /proc/PID/status.
 *
 * @param sufficeForMaps Whether maps can be read with no more than these.
 */
export function capabilitiesNeeded(
  status: string,
  { programs, maps, containers }: Work,
  sufficeForMaps: (capabilities: readonly Capability[]) => boolean = sufficeForMapsHere,
): Need[] {
  const had = ({ capability }: Need) => hasCapability(status, capability);
  const needs = [...(containers ? CONTAINERS : []), ...(programs ? loading(status) : [])].filter(had);
  if (!maps || sufficeForMaps(needs.map(({ capability }) => capability))) return needs;
  return [...needs, ...MAPS.filter(had).slice(0, 1)];
}

function loading(status: string): readonly Need[] {
  if (hasCapability(status, "BPF")) return PROGRAMS;
  return PROGRAMS.map(({ capability, purpose }) => ({
    capability: capability === "BPF" ? "SYS_ADMIN" : capability,
    purpose,
  }));
}

/** What is needed and why, in words. */
export function needsText(needs: readonly Need[]): string {
  const byPurpose = Map.groupBy(needs, ({ purpose }) => purpose);
  return Array.from(
    byPurpose,
    ([purpose, needs]) => `${needs.map(({ capability }) => capability).join(", ")} ${purpose}`,
  ).join("; ") || "none";
}

/** Where no map can be made either, there will be none to read. */
function sufficeForMapsHere(capabilities: readonly Capability[]): boolean {
  return openLibrary().kpod_privileges_suffice_for_maps(maskOf(capabilities)) !== 0;
}

/**
 * Leaves all threads these of their capabilities for good, and others never again.
 *
 * @param denyWrites Whether nothing may be written, no program be run and no container looked into either, where the
 * kernel has Landlock.
 * @throws {NativeError} if the kernel refuses; some may be given up by then.
 */
export function dropPrivileges(keep: readonly Capability[], denyWrites: boolean): Dropped {
  const members = new Uint32Array(3);
  checked(
    openLibrary().kpod_privileges_drop(maskOf(keep), Number(denyWrites), members),
    () => "give up privileges",
  );
  const [threads = 0, left = 0, deniesWrites = 0] = members;
  return { threads, left, deniesWrites: deniesWrites !== 0 };
}
