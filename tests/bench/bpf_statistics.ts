/** The kernel's own account of the time that eBPF programs take, which costs time itself and is off by default. */

const SWITCH = "/proc/sys/kernel/bpf_stats_enabled";

/** BPF_STATS_RUN_TIME of include/uapi/linux/bpf.h. */
const RUN_TIME = 0;

/** Has the kernel keep run times, or not keep them, and puts that back as it was found. */
export class BpfStatistics implements Disposable {
  readonly #on: boolean;
  readonly #putBack: () => void;

  /** Needs root. */
  constructor(on: boolean) {
    this.#on = on;
    this.#putBack = on ? switchOn() : switchOff();
  }

  /** Throws when somebody else has switched them on meanwhile, which makes events slower by what is measured. */
  check(): void {
    if (this.#on || readSwitch() === "0") return;
    throw new Error(
      "Cannot measure: kernel.bpf_stats_enabled has been switched on meanwhile; end what else uses it and try again",
    );
  }

  [Symbol.dispose](): void {
    this.#putBack();
  }
}

/** Switched on by a descriptor they go off with it, even when this process is killed. */
function switchOn(): () => void {
  const libbpf = Deno.dlopen("libbpf.so.1", { bpf_enable_stats: { parameters: ["i32"], result: "i32" } });
  const libc = Deno.dlopen("libc.so.6", { close: { parameters: ["i32"], result: "i32" } });
  const descriptor = libbpf.symbols.bpf_enable_stats(RUN_TIME);
  if (descriptor < 0) {
    throw new Error(`Cannot have the kernel keep the run times of eBPF programs: got error ${-descriptor}`);
  }
  return () => {
    libc.symbols.close(descriptor);
    libbpf.close();
    libc.close();
  };
}

function switchOff(): () => void {
  const found = readSwitch();
  if (found === "0") return () => {};
  Deno.writeTextFileSync(SWITCH, "0");
  return () => Deno.writeTextFileSync(SWITCH, found);
}

function readSwitch(): string {
  return Deno.readTextFileSync(SWITCH).trim();
}

/** How long the programs that a process holds have run in all, in nanoseconds, while the statistics were on. */
export function programTime(pid: number): number {
  const times = new Map(
    heldBy(pid).flatMap((info) => {
      const id = field(info, "prog_id"), time = field(info, "run_time_ns");
      return id === undefined || time === undefined ? [] : [[id, time] as const];
    }),
  );
  return [...times.values()].reduce((sum, time) => sum + time, 0);
}

/** The kernel's lines about each of a process's descriptors (proc_pid_fdinfo(5)). */
export function heldBy(pid: number): string[] {
  return [...Deno.readDirSync(`/proc/${pid}/fdinfo`)].flatMap(({ name }) => {
    try {
      return [Deno.readTextFileSync(`/proc/${pid}/fdinfo/${name}`)];
    } catch (error) {
      // The descriptor of the listing itself, where the process is this one.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return [];
    }
  });
}

/** A number of such lines: `memlock:	4096`. */
export function field(info: string, name: string): number | undefined {
  const text = new RegExp(`^${name}:\\s*(\\S+)$`, "m").exec(info)?.[1];
  return text === undefined ? undefined : Number(text);
}
