/** The kernel: its version, its BTF, lockdown, and the statistics of eBPF programs. */
import type { ProgramState } from "../native/programs.ts";
import { fail, type Finding, type HostFiles, ok, textIfThere, warn } from "./finding.ts";

/** The oldest kernel that the programs and the native library are made for, and tested on. */
const OLDEST = [5, 10] as const;

/** Major and minor number of the running kernel, `6.18` as `[6, 18]`. */
export type KernelVersion = readonly [major: number, minor: number];

/** The version in `release`, as `uname -r` has it; `undefined` where it does not begin with one. */
export function parseRelease(release: string): KernelVersion | undefined {
  const match = /^(\d+)\.(\d+)/.exec(release);
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
}

export function isOlder(version: KernelVersion, than: KernelVersion): boolean {
  return version[0] < than[0] || version[0] === than[0] && version[1] < than[1];
}

export function kernelVersion(proc: HostFiles): Finding {
  const release = proc.readText("sys/kernel/osrelease").trim();
  const version = parseRelease(release);
  if (version !== undefined && !isOlder(version, OLDEST)) return ok("kernel", release);
  return fail("kernel", release, `run the agent on nodes with Linux ${OLDEST.join(".")} or later`);
}

/** `isNeeded`: whether eBPF programs are to be loaded. */
export function btf(sys: HostFiles, isNeeded: boolean): Finding {
  try {
    const { length } = sys.readFile("kernel/btf/vmlinux");
    return ok("BTF", `${sys.path}/kernel/btf/vmlinux, ${(length / 1e6).toFixed(1)} MB`);
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    if (!isNeeded) return ok("BTF", `${found}; not needed, as no eBPF program is to be loaded`);
    const advice = "take a kernel built with CONFIG_DEBUG_INFO_BTF, as those of current distributions are; " +
      "KPOD_BPF_ENABLED=false does without eBPF";
    return fail("BTF", found, advice);
  }
}

/**
 * Lockdown, `none [integrity] confidentiality` in securityfs. Confidentiality takes the helper that reads kernel
 * memory from eBPF programs, LOCKDOWN_BPF_READ_KERNEL of include/linux/security.h; integrity takes nothing they use.
 * Where securityfs is not mounted, as in most containers, `states` tell what it comes to.
 * `isNeeded`: whether eBPF programs are to be loaded.
 */
export function lockdown(
  sys: HostFiles,
  proc: HostFiles,
  isNeeded: boolean,
  states: readonly ProgramState[],
): Finding {
  const text = textIfThere(sys, "kernel/security/lockdown");
  const level = /\[(\w+)\]/.exec(text ?? "")?.[1];
  if (level === "confidentiality" && isNeeded) {
    const advice = "boot with lockdown=integrity, which is enough for Secure Boot, or do without eBPF by " +
      "KPOD_BPF_ENABLED=false";
    return fail("lockdown", "confidentiality: eBPF programs may not read kernel memory", advice);
  }
  if (level !== undefined) return ok("lockdown", level);
  if (textIfThere(sys, "kernel/security/lsm") !== undefined) {
    return ok("lockdown", "none: this kernel has no lockdown module");
  }
  const asked = /(?:^|\s)lockdown=(\w+)/.exec(textIfThere(proc, "cmdline") ?? "")?.[1];
  const untold = `not told, as securityfs is not mounted at ${sys.path}/kernel/security` +
    (asked === undefined ? "" : `; the kernel's command line asks for ${asked}`);
  if (!isNeeded) return ok("lockdown", `${untold}; no eBPF program is to be loaded`);
  if (states.length > 0 && states.every(({ state }) => state === "attached")) {
    return ok("lockdown", `${untold}; it keeps no program from loading: all that are wanted are attached`);
  }
  const advice =
    "see on the node itself whether it says [confidentiality]: cat /sys/kernel/security/lockdown";
  return warn("lockdown", untold, advice);
}

export function bpfStatistics(proc: HostFiles): Finding {
  const isOn = textIfThere(proc, "sys/kernel/bpf_stats_enabled")?.trim() === "1";
  return ok(
    "eBPF statistics",
    isOn
      ? "on: kpod_bpf_program_run_seconds_total is served, and each event costs some 80 ns more"
      : "off: kpod_bpf_program_run_seconds_total is served while kernel.bpf_stats_enabled is 1",
  );
}
