/** What a kernel test needs of the machine: facts that can be seen, so that no failure passes for an absence. */

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

if (!CAN_LOAD) console.error("No eBPF programs are tested: that needs root, cgroup v2 and a kernel with BTF");

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
