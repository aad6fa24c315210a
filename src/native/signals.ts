/**
 * What the kernel can be asked for, and how: for every signal the ladder of hooks that deliver it, best first.
 * Data only; `programs.ts` tries the rungs.
 */

export const OBJECTS = ["cpu_sched", "net", "mem", "syscall"] as const;
export type ObjectName = (typeof OBJECTS)[number];

/** How a program gets called. */
export type Hook = "tp_btf" | "perf_event";

/** One way to get a signal: all of its programs, or it does not work. */
export interface Rung {
  readonly hook: Hook;
  readonly programs: readonly string[];
}

export interface Signal {
  readonly name: string;
  readonly object: ObjectName;
  /** The maps its programs write to. */
  readonly maps: readonly string[];
  readonly rungs: readonly Rung[];
}

const tracepoints = (...programs: string[]): readonly Rung[] => [{ hook: "tp_btf", programs }];

export const SIGNALS = [
  {
    name: "cpu_sched",
    object: "cpu_sched",
    maps: ["cpu_sched", "cpu_sched_tasks"],
    rungs: tracepoints("sched_switch"),
  },
  { name: "tcp_bytes_sent", object: "net", maps: ["tcp"], rungs: tracepoints("sock_send_length") },
  {
    name: "tcp_bytes_received",
    object: "net",
    maps: ["tcp", "tcp_sockets"],
    rungs: tracepoints("tcp_rcv_space_adjust", "inet_sock_set_state"),
  },
  {
    name: "tcp_retransmits",
    object: "net",
    maps: ["tcp"],
    rungs: tracepoints("tcp_retransmit_skb", "tcp_retransmit_synack"),
  },
  {
    name: "tcp_connections",
    object: "net",
    maps: ["tcp", "tcp_sockets"],
    rungs: tracepoints("inet_sock_set_state"),
  },
  { name: "tcp_rtt", object: "net", maps: ["tcp"], rungs: tracepoints("tcp_probe") },
  { name: "oom", object: "mem", maps: ["oom", "oom_processes"], rungs: tracepoints("mark_victim") },
  {
    name: "page_faults",
    object: "mem",
    maps: ["page_faults"],
    rungs: [{ hook: "perf_event", programs: ["page_faults_major"] }],
  },
  {
    name: "syscall",
    object: "syscall",
    maps: ["syscall", "syscall_tasks"],
    rungs: tracepoints("sys_enter", "sys_exit", "signal_deliver"),
  },
] as const satisfies readonly Signal[];

export type SignalName = (typeof SIGNALS)[number]["name"];

/** Maps that all objects share. */
export const SHARED_MAPS = ["cgroups", "update_errors"] as const;

/** PERF_TYPE_SOFTWARE and PERF_COUNT_SW_PAGE_FAULTS_MAJ of linux/perf_event.h; a period of one reports every fault. */
export const MAJOR_PAGE_FAULTS = { type: 1, config: 6, samplePeriod: 1 } as const;
