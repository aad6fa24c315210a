/** What a kernel test needs of the machine: facts that can be seen, so that no failure passes for an absence. */

/**
 * Whether the agent's programs load here: BTF and cgroup v2 in the kernel, and root. Where this holds, a program
 * that does not load is a failure.
 */
export const CAN_LOAD: boolean = Deno.build.os === "linux" && Deno.uid() === 0 &&
  exists("/sys/kernel/btf/vmlinux") && Deno.readTextFileSync("/proc/filesystems").includes("\tcgroup2\n");

/** For the options of `Deno.test`. */
export const needsPrograms = { ignore: !CAN_LOAD };

if (!CAN_LOAD) console.error("No eBPF programs are tested: that needs root, cgroup v2 and a kernel with BTF");

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
