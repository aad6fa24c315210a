/** Capabilities of this process, as far as anything here depends on them. */
import { HostRoot } from "./host_files.ts";

/** Bits of CapEff in /proc/PID/status, as linux/capability.h numbers them. */
const BITS = {
  DAC_READ_SEARCH: 2n,
  SYS_PTRACE: 19n,
  SYS_ADMIN: 21n,
  SYS_RESOURCE: 24n,
  PERFMON: 38n,
  BPF: 39n,
} as const;

/** A capability, without the `CAP_` in front. */
export type Capability = keyof typeof BITS;

/** The set of these capabilities, as the kernel writes it: bit n for number n. */
export function maskOf(names: readonly Capability[]): bigint {
  return names.reduce((mask, name) => mask | 1n << BITS[name], 0n);
}

/** What it takes to load tracing programs. */
const FOR_PROGRAMS = ["BPF", "PERFMON"] as const;

/** Whether a process has a capability now, by the text of its /proc/PID/status. */
export function hasCapability(status: string, name: Capability): boolean {
  return hasBit(status, "CapEff", name);
}

/**
 * Whether a process, or what it starts, has or may ever get a capability, by the text of its /proc/PID/status (see
 * "Transformation of capabilities during execve()" in capabilities(7)).
 */
export function mayHaveCapability(status: string, name: Capability): boolean {
  return (["CapInh", "CapPrm", "CapBnd"] as const).some((set) => hasBit(status, set, name));
}

function hasBit(status: string, set: "CapInh" | "CapPrm" | "CapEff" | "CapBnd", name: Capability): boolean {
  const [, bits = "0"] = new RegExp(`^${set}:\\s*([0-9a-f]+)$`, "m").exec(status) ?? [];
  return (BigInt(`0x${bits}`) >> BITS[name] & 1n) === 1n;
}

/** What a process lacks to load the programs. */
export function lackingForPrograms(status: string): Capability[] {
  // It includes both, as it was all there was before Linux 5.8 (capabilities(7)).
  if (hasCapability(status, "SYS_ADMIN")) return [];
  return FOR_PROGRAMS.filter((name) => !hasCapability(status, name));
}

/** The /proc/PID/status of this process. */
export function ownStatus(): string {
  using proc = HostRoot.open("/proc");
  return proc.readText("self/status");
}
