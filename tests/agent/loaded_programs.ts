/** Which eBPF programs a process holds, and whether the kernel still has them. */

/** `bpf` in the system call tables of Linux (arch/x86/entry/syscalls/syscall_64.tbl, asm-generic/unistd.h). */
const SYS_BPF = { x86_64: 321n, aarch64: 280n }[Deno.build.arch];
/** Of `enum bpf_cmd` in linux/bpf.h. */
const BPF_PROG_GET_FD_BY_ID = 13;

/** Ids of the programs that a process has open (`prog_id` in /proc/PID/fdinfo). */
export function programsOf(pid: number): number[] {
  const ids = new Set<number>();
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fdinfo`)) {
    const id = /^prog_id:\t(\d+)$/m.exec(readIfOpen(`/proc/${pid}/fdinfo/${name}`))?.[1];
    if (id !== undefined) ids.add(Number(id));
  }
  return [...ids];
}

/** Whether the kernel has a program of this id, whoever holds it. Needs root. */
export function isLoaded(id: number): boolean {
  const libc = Deno.dlopen("libc.so.6", {
    /** `long syscall(long number, ...)` with the three arguments of bpf(2) */
    syscall: { parameters: ["i64", "i32", "buffer", "u32"], result: "i64" },
    close: { parameters: ["i32"], result: "i32" },
  });
  try {
    const attributes = new Uint8Array(new Uint32Array([id, 0, 0]).buffer);
    const fd = Number(libc.symbols.syscall(SYS_BPF, BPF_PROG_GET_FD_BY_ID, attributes, attributes.length));
    if (fd >= 0) libc.symbols.close(fd);
    return fd >= 0;
  } finally {
    libc.close();
  }
}

/** A descriptor may be closed between the listing and the reading. */
function readIfOpen(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
