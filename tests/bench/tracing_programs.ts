/** Whoever else traces the machine makes the same events slower. */
import { field } from "./bpf_statistics.ts";

/** BPF_PROG_TYPE_KPROBE, TRACEPOINT, PERF_EVENT, RAW_TRACEPOINT and TRACING of include/uapi/linux/bpf.h. */
const TRACING: readonly (number | undefined)[] = [2, 5, 7, 17, 26];

/** How many of the eBPF programs with these ids are for tracing; needs root. */
export function countTracingPrograms(ids: Iterable<number>): number {
  const libbpf = Deno.dlopen("libbpf.so.1", {
    bpf_prog_get_fd_by_id: { parameters: ["u32"], result: "i32" },
  });
  const libc = Deno.dlopen("libc.so.6", { close: { parameters: ["i32"], result: "i32" } });
  try {
    return [...ids].filter((id) => {
      const descriptor = libbpf.symbols.bpf_prog_get_fd_by_id(id);
      // It has gone since its id was listed.
      if (descriptor < 0) return false;
      const info = Deno.readTextFileSync(`/proc/self/fdinfo/${descriptor}`);
      libc.symbols.close(descriptor);
      return isTracing(info);
    }).length;
  } finally {
    libbpf.close();
    libc.close();
  }
}

/** Whether the kernel's lines about a descriptor are those of a program for tracing. */
export function isTracing(info: string): boolean {
  return TRACING.includes(field(info, "prog_type"));
}
