/** What a kernel test needs of the machine: facts that can be seen, so that no failure passes for an absence. */
import { findCgroup2Mount } from "../lab/cgroups.ts";
import { isThere } from "../../native/tools.ts";

/** Whether a lab node runs here: root, and cgroup v2 in the kernel. */
export const CAN_RUN_LAB: boolean = Deno.build.os === "linux" && Deno.uid() === 0 &&
  Deno.readTextFileSync("/proc/filesystems").includes("\tcgroup2\n");

/**
 * Whether the agent's programs load here: BTF in the kernel as well. Where this holds, a program that does not load
 * is a failure.
 */
export const CAN_LOAD: boolean = CAN_RUN_LAB && exists("/sys/kernel/btf/vmlinux");

/** For the options of `Deno.test`. */
export const needsPrograms = { ignore: !CAN_LOAD };
export const needsLab = { ignore: !CAN_RUN_LAB };
/** A filesystem served by the test itself, or by nobody. */
export const needsFuse = { ignore: !CAN_RUN_LAB || !exists("/dev/fuse") };
/** A disk in a file. */
export const needsLoop = {
  ignore: !CAN_RUN_LAB || !exists("/dev/loop-control") || !["losetup", "mkfs.ext4"].every(isThere),
};
/** Controllers in cgroup v2 that containers can have: on a hybrid machine most of them are v1's. */
export function needsController(...names: readonly string[]): { readonly ignore: boolean } {
  const controllers = CAN_LOAD ? controllersOf(findCgroup2Mount()) : [];
  return { ignore: !names.every((name) => controllers.includes(name)) };
}

function controllersOf(directory: string): readonly string[] {
  return Deno.readTextFileSync(`${directory}/cgroup.controllers`).trim().split(/\s+/);
}

/** The kernel's network emulator, which many machines have as a module or not at all. */
export const needsNetem = { ignore: !CAN_LOAD || !hasNetem() };

function hasNetem(): boolean {
  const args = ["--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"];
  return isThere("tc") && new Deno.Command("unshare", { args, stderr: "null" }).outputSync().success;
}

/** The names and numbers of the kernel's events, in a mount namespace of one's own. */
export const needsTracefs = { ignore: !CAN_LOAD || !hasTracefs() };

function hasTracefs(): boolean {
  const args = ["--mount", "mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"];
  return new Deno.Command("unshare", { args, stderr: "null" }).outputSync().success;
}

/** Programs compiled by the test itself. */
export const needsCompiler = { ignore: !CAN_LOAD || !isThere("clang") };

if (!CAN_LOAD) console.error("No eBPF programs are tested: that needs root, cgroup v2 and a kernel with BTF");

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
