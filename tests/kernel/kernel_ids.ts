/** eBPF programs and maps as the kernel numbers them. */

/** Ids of some programs and maps. */
export interface KernelIds {
  readonly programs: ReadonlySet<number>;
  readonly maps: ReadonlySet<number>;
}

/** What this process holds by descriptors, links' programs included (`/proc/PID/fdinfo`). */
export function heldIds(): KernelIds {
  const programs = new Set<number>(), maps = new Set<number>();
  for (const { name } of Deno.readDirSync("/proc/self/fdinfo")) {
    let info = "";
    try {
      info = Deno.readTextFileSync(`/proc/self/fdinfo/${name}`);
    } catch (error) {
      // The descriptor of the listing itself.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    for (const [, what, id] of info.matchAll(/^(prog|map)_id:\s*(\d+)$/gm)) {
      (what === "prog" ? programs : maps).add(Number(id));
    }
  }
  return { programs, maps };
}

/** `int bpf_…_get_next_id(__u32 start_id, __u32 *next_id)` of libbpf: BPF_PROG_GET_NEXT_ID of bpf(2). */
const NEXT_ID = { parameters: ["u32", "buffer"], result: "i32" } as const;

/** Everything that the kernel has loaded, whoever holds it. */
export function kernelIds(): KernelIds {
  const libbpf = Deno.dlopen("libbpf.so.1", { bpf_prog_get_next_id: NEXT_ID, bpf_map_get_next_id: NEXT_ID });
  const all = (next: keyof typeof libbpf.symbols) => {
    const ids = new Set<number>();
    const found = new Uint32Array(1);
    while (libbpf.symbols[next](found[0] ?? 0, found) === 0) ids.add(found[0] ?? 0);
    return ids;
  };
  try {
    return { programs: all("bpf_prog_get_next_id"), maps: all("bpf_map_get_next_id") };
  } finally {
    libbpf.close();
  }
}
