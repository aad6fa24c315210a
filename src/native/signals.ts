/**
 * What the kernel can be asked for, and how: for every signal the ladder of hooks that deliver it, best first.
 * Data only; `programs.ts` tries the rungs.
 */

export const OBJECTS = ["cpu_sched", "net", "mem", "syscall"] as const;
export type ObjectName = (typeof OBJECTS)[number];

/** How a program gets called; the programs of a kprobe may be called at the function's return as well. */
export type Hook = "tp_btf" | "tracepoint" | "perf_event" | "fentry" | "fexit" | "kprobe";

/** One way to get a signal: all of its programs, or it does not work. */
export interface Rung {
  readonly hook: Hook;
  readonly programs: readonly string[];
  /** Maps that its programs use beside the signal's. */
  readonly maps?: readonly string[];
  /** What cleans up after it where tasks and sockets cannot hold values, by `tp_btf`. */
  readonly cleaners?: readonly string[];
  /** Whether it is only for kernels that may preempt `tp_btf` programs, and meanwhile skip their events. */
  readonly wherePreempted?: boolean;
  /** Whether its programs cannot have tasks and sockets hold values: what cleans up is then among the programs. */
  readonly hashes?: boolean;
}

export interface Signal {
  readonly name: string;
  readonly object: ObjectName;
  /** The maps its programs use, by whichever rung. */
  readonly maps: readonly string[];
  readonly rungs: readonly Rung[];
}

const tracepoints = (...programs: string[]): Rung => ({ hook: "tp_btf", programs });

/** The same by way of perf: with preemption off, but dearer, and in need of tracefs. */
const unpreempted = (...programs: string[]): Rung => ({ hook: "tracepoint", programs, wherePreempted: true });

/**
 * For both signals of which a connection's states tell: all of it or nothing, as two programs that look at the states,
 * one by each hook, would count everything twice.
 */
const CONNECTION_UNPREEMPTED: Rung = {
  ...unpreempted("tcp_rcv_space_adjust_perf", "inet_sock_set_state_perf", "tcp_destroy_sock_perf"),
  hashes: true,
};

export const SIGNALS = [
  {
    name: "cpu_sched",
    object: "cpu_sched",
    maps: ["cpu_sched", "cpu_sched_tasks"],
    rungs: [{ ...tracepoints("sched_switch"), cleaners: ["cpu_sched_task_free"] }],
  },
  {
    name: "tcp_bytes_sent",
    object: "net",
    maps: ["tcp", "tcp_sockets"],
    rungs: [
      unpreempted("sock_send_length_perf"),
      tracepoints("sock_send_length"),
      // Kernels without that tracepoint (before 6.3) have both functions. What kernel TLS sends is missed.
      { hook: "fexit", programs: ["tcp_sendmsg_fexit", "tcp_sendpage_fexit"] },
      // Counts when it is acknowledged.
      {
        ...tracepoints("tcp_sent_probe", "tcp_sent_state"),
        maps: ["tcp_sent"],
        cleaners: ["tcp_sent_destroy"],
      },
    ],
  },
  {
    name: "tcp_bytes_received",
    object: "net",
    maps: ["tcp", "tcp_sockets"],
    rungs: [
      CONNECTION_UNPREEMPTED,
      {
        ...tracepoints("tcp_rcv_space_adjust", "inet_sock_set_state"),
        cleaners: ["tcp_destroy_sock"],
      },
    ],
  },
  {
    name: "tcp_retransmits",
    object: "net",
    maps: ["tcp"],
    rungs: [tracepoints("tcp_retransmit_skb", "tcp_retransmit_synack")],
  },
  {
    name: "tcp_connections",
    object: "net",
    maps: ["tcp", "tcp_sockets"],
    rungs: [
      CONNECTION_UNPREEMPTED,
      { ...tracepoints("inet_sock_set_state"), cleaners: ["tcp_destroy_sock"] },
    ],
  },
  { name: "tcp_rtt", object: "net", maps: ["tcp", "tcp_sockets"], rungs: [tracepoints("tcp_probe")] },
  {
    name: "oom",
    object: "mem",
    maps: ["oom"],
    rungs: [
      // Where the kernel counts the kill; the tracepoint also tells of victims that were dying already.
      { hook: "fentry", programs: ["oom_kill_fentry"] },
      { hook: "kprobe", programs: ["oom_kill_kprobe"] },
      { ...tracepoints("mark_victim"), maps: ["oom_processes"], cleaners: ["oom_task_free"] },
      { ...tracepoints("mark_victim_pid", "oom_victim_exit"), maps: ["oom_pids"] },
    ],
  },
  {
    name: "page_faults",
    object: "mem",
    maps: ["page_faults"],
    rungs: [
      { hook: "perf_event", programs: ["page_faults_major"] },
      // Sees the faults taken by the kernel on the task's behalf as well, but runs at every switch.
      {
        ...tracepoints("page_faults_switch"),
        maps: ["page_faults_tasks"],
        cleaners: ["page_faults_task_free"],
      },
    ],
  },
  {
    name: "syscall",
    object: "syscall",
    maps: ["syscall", "syscall_tasks"],
    rungs: [
      {
        ...unpreempted("sys_enter_perf", "sys_exit_perf", "signal_deliver_perf"),
        cleaners: ["syscall_task_free"],
      },
      { ...tracepoints("sys_enter", "sys_exit", "signal_deliver"), cleaners: ["syscall_task_free"] },
    ],
  },
] as const satisfies readonly Signal[];

export type SignalName = (typeof SIGNALS)[number]["name"];

/** Maps that all objects share. */
export const SHARED_MAPS = ["cgroups", "update_errors"] as const;

/** PERF_TYPE_SOFTWARE and PERF_COUNT_SW_PAGE_FAULTS_MAJ of linux/perf_event.h; a period of one reports every fault. */
export const MAJOR_PAGE_FAULTS = { type: 1, config: 6, samplePeriod: 1 } as const;
