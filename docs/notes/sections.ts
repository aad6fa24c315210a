/** What docs/metrics.md says at the head of each section: of every collector, and of what the agent serves about itself. */
import type { CollectorName } from "../../src/profiles.ts";

export interface Section {
  /** What the section is about, after its name. */
  readonly about: string;
  /** Where its numbers come from, unless eBPF programs deliver them. */
  readonly from?: string;
  readonly text?: string;
}

export const COLLECTOR_SECTIONS: Readonly<Record<CollectorName, Section>> = {
  cpu_sched: { about: "who waits for a CPU" },
  tcp: {
    about: "TCP, by the container that owns the socket",
    text:
      "What happens in softirq, on whatever CPU, is booked to the socket's container. UDP is not looked at.",
  },
  oom: { about: "OOM kills, by the victim's container" },
  page_faults: { about: "page faults that need I/O" },
  syscall: {
    about: "system calls",
    text:
      "Of the calls that `KPOD_SYSCALL_TRACKED` names, the label `syscall` tells which. A container's series of a call " +
      "begin when it first makes that call, not with 0.",
  },
  disk: {
    about: "block I/O",
    from: "`io.stat` of the container's cgroup",
    text:
      "`device` is the kernel's name of the disk (`nvme0n1`), or its numbers (`259:0`) where it has no name. Partitions count " +
      "as their disk. Series of a disk begin with the container's first I/O on it.",
  },
  interface: {
    about: "network interfaces",
    from: "`/proc/PID/net/dev` in the pod's network namespace",
    text:
      "All containers of a pod share its interfaces: `container` is empty. `lo` is left out, pods in the host's network as well.",
  },
  filesystem: {
    about: "how full filesystems are",
    from: "`/proc/PID/mountinfo` and `statfs(2)` beneath `/proc/PID/root`",
    text:
      "One series for each filesystem that `df` shows in the container; files that are mounted by themselves, as `/etc/hosts` " +
      "is, do not count. One that does not answer is left out until it does.",
  },
  cpu: { about: "CPU time and throttling", from: "`cpu.stat` of the container's cgroup" },
  memory: {
    about: "use and limits",
    from: "the container's cgroup",
    text: "While an old and a new instance of a container overlap for a moment, their numbers are added.",
  },
  pressure: {
    about: "time lost to waiting",
    from: "the container's cgroup (pressure stall information)",
    text: "Absent where the kernel was started without it (`psi=1`).",
  },
  pids: { about: "tasks", from: "`pids.current` of the container's cgroup" },
};

export const SELF_SECTIONS = {
  cycle: {
    about: "what the agent does",
    text: "Series about the agent have no labels of a pod; Prometheus' `instance` tells them apart.",
  },
  discovery: { about: "what it hears from the kubelet" },
  programs: {
    about: "its eBPF programs and their maps",
    text: "Absent with `KPOD_BPF_ENABLED=false`, and while the node has no pods.",
  },
  web: {
    about: "its web configuration",
    text: "Absent without `KPOD_WEB_CONFIG_FILE`.",
  },
  process: {
    about: "its own process",
    text: "The names that every Prometheus client library has; other programs serve them too.",
  },
} as const satisfies Record<string, Section>;
