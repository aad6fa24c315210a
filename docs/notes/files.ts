/** Notes on what is read from the containers' cgroups and from /proc. */
import type { Notes } from "./note.ts";

const perDevice = (name: string) => `sum by (namespace, pod, device) (rate(${name}[5m]))`;
const perPod = (name: string) => `sum by (namespace, pod) (rate(${name}[5m]))`;
const perContainer = (name: string) => `sum by (namespace, pod, container) (rate(${name}[5m]))`;

const DISK: Notes = {
  kpod_disk_read_bytes_total: {
    from: "`rbytes` of `io.stat`",
    ask: ["Bytes read a second, by pod and disk.", perDevice("kpod_disk_read_bytes_total")],
  },
  kpod_disk_written_bytes_total: {
    from: "`wbytes` of `io.stat`",
    mind:
      "Writeback is charged to the container by filesystems that note whose page it was: ext2, ext4, btrfs, f2fs and xfs.",
    ask: ["Bytes written a second, by pod and disk.", perDevice("kpod_disk_written_bytes_total")],
  },
  kpod_disk_reads_total: {
    from: "`rios` of `io.stat`",
    ask: [
      "The mean size of a read, in bytes.",
      `${perDevice("kpod_disk_read_bytes_total")} / ${perDevice("kpod_disk_reads_total")}`,
    ],
  },
  kpod_disk_writes_total: {
    from: "`wios` of `io.stat`",
    ask: ["Which pods write most often?", `topk(10, ${perDevice("kpod_disk_writes_total")})`],
  },
};

/** Of receiving and sending. */
const INTERFACE: Notes = Object.assign(
  {},
  ...([["rx", "receive"], ["tx", "send"]] as const).map(([direction, verb]): Notes => ({
    [`kpod_net_iface_${direction}_bytes_total`]: {
      ask: [`What do pods ${verb}, in bytes a second?`, perPod(`kpod_net_iface_${direction}_bytes_total`)],
    },
    [`kpod_net_iface_${direction}_packets_total`]: {
      ask: [
        `How many packets a second do pods ${verb}?`,
        perPod(`kpod_net_iface_${direction}_packets_total`),
      ],
    },
    [`kpod_net_iface_${direction}_errors_total`]: {
      ask: [
        "Which interfaces have errors?",
        `sum by (namespace, pod, interface) (increase(kpod_net_iface_${direction}_errors_total[1h])) > 0`,
      ],
    },
    [`kpod_net_iface_${direction}_drops_total`]: {
      ask: [
        "The share of packets dropped, by pod.",
        `${perPod(`kpod_net_iface_${direction}_drops_total`)} / (${
          perPod(`kpod_net_iface_${direction}_packets_total`)
        } + ${perPod(`kpod_net_iface_${direction}_drops_total`)})`,
      ],
    },
  })),
);

const FILESYSTEM: Notes = {
  kpod_fs_capacity_bytes: {
    mind:
      "A volume without a quota shows the size of the whole filesystem it lies on, often the node's disk.",
    ask: [
      "How large are the containers' filesystems?",
      "max by (namespace, pod, mountpoint) (kpod_fs_capacity_bytes)",
    ],
  },
  kpod_fs_usage_bytes: {
    mind: "What anybody has put on the filesystem, not the container alone.",
    ask: [
      "Which filesystems are more than 90 % full, as `df` counts it?",
      "kpod_fs_usage_bytes / (kpod_fs_usage_bytes + kpod_fs_available_bytes) > 0.9",
    ],
  },
  kpod_fs_available_bytes: {
    ask: [
      "Which filesystems will be full within four hours, if this goes on?",
      "predict_linear(kpod_fs_available_bytes[1h], 4 * 3600) < 0",
    ],
  },
  kpod_fs_timeouts_total: {
    mind: "A filesystem that hangs counts once, until it answers and hangs anew; the log names it.",
    ask: [
      "On which nodes does a filesystem hang?",
      "sum by (instance) (increase(kpod_fs_timeouts_total[1h])) > 0",
    ],
  },
};

const THROTTLED = "Only with a CPU limit; without one it is absent or stays at 0.";

const CPU: Notes = {
  kpod_cpu_usage_seconds_total: {
    from: "`usage_usec` of `cpu.stat`",
    ask: ["CPUs in use, by container.", perContainer("kpod_cpu_usage_seconds_total")],
  },
  kpod_cpu_user_seconds_total: {
    from: "`user_usec` of `cpu.stat`",
    ask: [
      "The share of CPU time spent in user space.",
      `${perContainer("kpod_cpu_user_seconds_total")} / ${perContainer("kpod_cpu_usage_seconds_total")}`,
    ],
  },
  kpod_cpu_system_seconds_total: {
    from: "`system_usec` of `cpu.stat`",
    ask: ["CPUs that work in the kernel for a container.", perContainer("kpod_cpu_system_seconds_total")],
  },
  kpod_cpu_throttled_seconds_total: {
    from: "`throttled_usec` of `cpu.stat`",
    mind: `${THROTTLED} Grows by more than a second a second when it holds back several CPUs at once.`,
    ask: ["Who is held back most?", `topk(10, ${perContainer("kpod_cpu_throttled_seconds_total")})`],
  },
  kpod_cpu_throttled_periods_total: {
    from: "`nr_throttled` of `cpu.stat`",
    mind: THROTTLED,
    ask: [
      "The share of periods (100 ms mostly) in which the limit was hit.",
      `${perContainer("kpod_cpu_throttled_periods_total")} / ${perContainer("kpod_cpu_periods_total")}`,
    ],
  },
  kpod_cpu_periods_total: {
    from: "`nr_periods` of `cpu.stat`",
    mind: THROTTLED,
    ask: [
      "Which containers have a CPU limit and something to do?",
      `${perContainer("kpod_cpu_periods_total")} > 0`,
    ],
  },
};

const MEMORY: Notes = {
  kpod_mem_usage_bytes: {
    from: "`memory.current`",
    ask: ["Memory of each pod.", "sum by (namespace, pod) (kpod_mem_usage_bytes)"],
  },
  kpod_mem_working_set_bytes: {
    from: "`memory.current` less `inactive_file` of `memory.stat`",
    mind: "What the kubelet evicts by, and what `kubectl top` shows.",
    ask: [
      "Which containers are near their limit?",
      "kpod_mem_working_set_bytes / kpod_mem_limit_bytes > 0.9",
    ],
  },
  kpod_mem_rss_bytes: {
    from: "`anon` of `memory.stat`",
    ask: ["Whose heap grows?", "topk(10, deriv(kpod_mem_rss_bytes[1h]))"],
  },
  kpod_mem_cache_bytes: {
    from: "`file` of `memory.stat`",
    mind: "tmpfs and shared memory in it cannot be dropped as other cache can.",
    ask: [
      "The share of a container's memory that is page cache.",
      "kpod_mem_cache_bytes / kpod_mem_usage_bytes",
    ],
  },
  kpod_mem_swap_bytes: {
    from: "`memory.swap.current`",
    ask: ["Who is swapped out?", "kpod_mem_swap_bytes > 0"],
  },
  kpod_mem_limit_bytes: {
    from: "`memory.max`",
    ask: [
      "Which containers have no memory limit?",
      "kpod_mem_usage_bytes unless kpod_mem_limit_bytes",
    ],
  },
};

/** Of each resource, some and full. */
const PRESSURE: Notes = Object.assign(
  {},
  ...([["cpu", "a CPU"], ["memory", "memory"], ["io", "I/O"]] as const).map(([resource, what]): Notes => ({
    [`kpod_pressure_${resource}_waiting_seconds_total`]: {
      from: `\`some\` of \`${resource}.pressure\``,
      ask: [
        `The share of time in which something in the container waits for ${what}.`,
        `rate(kpod_pressure_${resource}_waiting_seconds_total[5m])`,
      ],
    },
    [`kpod_pressure_${resource}_stalled_seconds_total`]: {
      from: `\`full\` of \`${resource}.pressure\``,
      ask: [
        `Which containers get nothing done for want of ${what}?`,
        `topk(10, rate(kpod_pressure_${resource}_stalled_seconds_total[5m]))`,
      ],
    },
  })),
);

const PIDS: Notes = {
  kpod_pids_current: {
    from: "`pids.current`",
    ask: ["Who has most threads?", "topk(10, sum by (namespace, pod) (kpod_pids_current))"],
  },
};

export const FILE_NOTES: Notes = {
  ...DISK,
  ...INTERFACE,
  ...FILESYSTEM,
  ...CPU,
  ...MEMORY,
  ...PRESSURE,
  ...PIDS,
};
