/** The kernels that the agent is tested on besides this machine's: Debian's, one for each line that nodes run. */
import type { SignalName } from "../../src/native/signals.ts";

/** As Debian names it. */
export type Architecture = "amd64" | "arm64";

/** This machine's. */
export const OWN_ARCHITECTURE: Architecture = Deno.build.arch === "aarch64" ? "arm64" : "amd64";

export interface KernelPackage {
  /** As told on the command line and in the matrix. */
  readonly name: string;
  readonly architecture: Architecture;
  readonly suite: string;
  /** Packages of one build: its release is the first group. The newest is taken. */
  readonly image: RegExp;
  /** Further packages of the same release. */
  readonly also: readonly string[];
  /**
   * Of signals with several ways the programs by which each that works here is known, best first. A kernel where
   * another one is taken fails the run.
   */
  readonly rungs: Readonly<Partial<Record<SignalName, readonly string[]>>>;
  /** Whether tasks and sockets hold what programs remember of them. */
  readonly localStorage: boolean;
}

const PAGE_FAULTS = ["page_faults_major", "page_faults_switch"];
const SYSCALL = ["sys_enter", "sys_enter_perf"];
/** The tracepoint for what is sent is there since 6.3, the victim (and not its id alone) in `mark_victim` since 6.8. */
const OLD = {
  oom: ["oom_kill_fentry", "oom_kill_kprobe", "mark_victim_pid"],
  tcp_bytes_sent: ["tcp_sendmsg_fexit", "tcp_sent_probe"],
  page_faults: PAGE_FAULTS,
  syscall: SYSCALL,
};
const NEW = {
  oom: ["oom_kill_fentry", "oom_kill_kprobe", "mark_victim"],
  tcp_bytes_sent: ["sock_send_length", "sock_send_length_perf", "tcp_sent_probe"],
  page_faults: PAGE_FAULTS,
  syscall: SYSCALL,
};

export const KERNELS: readonly KernelPackage[] = [
  {
    name: "5.10",
    architecture: "amd64",
    suite: "bullseye",
    image: /^linux-image-(5\.10\.[\w.+-]+-cloud-amd64)$/,
    also: [],
    rungs: OLD,
    localStorage: false,
  },
  {
    name: "6.1",
    architecture: "amd64",
    suite: "bookworm",
    image: /^linux-image-(6\.1\.[\w.+-]+-cloud-amd64)$/,
    also: [],
    // Its stable releases tell the victim as 6.8 does.
    rungs: { ...OLD, oom: NEW.oom },
    localStorage: true,
  },
  {
    name: "6.12",
    architecture: "amd64",
    suite: "bookworm-backports",
    image: /^linux-image-(6\.12\.[\w.+-]+-cloud-amd64)$/,
    also: [],
    rungs: NEW,
    localStorage: true,
  },
  {
    // sid has the kernel, its modules and the rest in packages of their own.
    name: "newest",
    architecture: "amd64",
    suite: "sid",
    image: /^linux-binary-(\d[\w.+-]+-cloud-amd64)$/,
    also: ["linux-modules-"],
    // Preempts programs on tracepoints: those that it may skip events of are not exact.
    rungs: {
      ...NEW,
      tcp_bytes_sent: ["sock_send_length_perf", "tcp_sent_probe"],
      tcp_bytes_received: ["tcp_rcv_space_adjust_perf"],
      tcp_connections: ["tcp_rcv_space_adjust_perf"],
      syscall: ["sys_enter_perf"],
    },
    localStorage: true,
  },
  {
    // No fentry and fexit: arm64 has what they need since 6.4.
    name: "6.1-arm64",
    architecture: "arm64",
    suite: "bookworm",
    image: /^linux-image-(6\.1\.[\w.+-]+-cloud-arm64)$/,
    also: [],
    rungs: {
      ...OLD,
      oom: ["oom_kill_kprobe", "mark_victim"],
      tcp_bytes_sent: ["tcp_sent_probe"],
    },
    localStorage: true,
  },
];
