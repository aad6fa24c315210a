/** Which collectors there are, and which of them each profile enables. */

/** Every collector, in the order they run. */
export const COLLECTORS = [
  "cpu_sched",
  "tcp",
  "oom",
  "page_faults",
  "syscall",
  "disk",
  "interface",
  "filesystem",
  "cpu",
  "memory",
  "pressure",
  "pids",
] as const;
export type CollectorName = (typeof COLLECTORS)[number];

const MINIMAL = ["cpu_sched", "oom", "disk"] as const;
const STANDARD = [
  ...MINIMAL,
  "tcp",
  "page_faults",
  "interface",
  "filesystem",
  "cpu",
  "memory",
  "pressure",
  "pids",
] as const;
const COMPREHENSIVE = [...STANDARD, "syscall"] as const;

/** Collectors of each named set; `custom` is the set that KPOD_COLLECTORS gives. */
export const PROFILES = {
  minimal: MINIMAL,
  standard: STANDARD,
  comprehensive: COMPREHENSIVE,
} as const satisfies Record<string, readonly CollectorName[]>;

export const PROFILE_NAMES = [...(Object.keys(PROFILES) as (keyof typeof PROFILES)[]), "custom"] as const;
export type Profile = (typeof PROFILE_NAMES)[number];

const LOOK_INTO_CONTAINERS: readonly string[] = ["filesystem"] satisfies CollectorName[];

/** Those of `collectors` that look into containers' roots, beneath /proc/PID/root. */
export function lookingIntoContainers<Name extends string>(collectors: readonly Name[]): Name[] {
  return collectors.filter((name) => LOOK_INTO_CONTAINERS.includes(name));
}

/** Returns the collectors of a profile, or for `custom` the given ones, each once and in the order they run. */
export function resolveCollectors(
  profile: Profile,
  custom: readonly CollectorName[] = [],
): readonly CollectorName[] {
  const enabled: readonly CollectorName[] = profile === "custom" ? custom : PROFILES[profile];
  return COLLECTORS.filter((collector) => enabled.includes(collector));
}
