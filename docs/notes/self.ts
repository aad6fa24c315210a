/** Notes on what the agent serves about itself. */
import type { Notes } from "./note.ts";

export const SELF_NOTES: Notes = {
  kpod_collection_duration_seconds: {
    event: "a cycle ended, for a scrape or for the timer",
    ask: [
      "The mean time of a cycle on each node.",
      "rate(kpod_collection_duration_seconds_sum[5m]) / rate(kpod_collection_duration_seconds_count[5m])",
    ],
  },
  kpod_collector_up: {
    mind: "0 while a collector fails: its families are missing then, the others' are not. The log says why.",
    ask: [
      "Which collectors fail, and on how many nodes?",
      "count by (collector) (kpod_collector_up == 0)",
    ],
  },
  kpod_collector_duration_seconds: {
    ask: [
      "Which collector takes longest, and where?",
      "topk(3, kpod_collector_duration_seconds)",
    ],
  },
  kpod_unattributed_cgroups: {
    mind:
      "A few for some seconds after pods start. When it stays, the kubelet does not list what runs, or the agent " +
      "may not ask it.",
    ask: [
      "Where do containers stay without a name?",
      "min_over_time(kpod_unattributed_cgroups[10m]) > 0",
    ],
  },
  kpod_series_dropped: {
    mind:
      "By what they were too many for: `pod` for `KPOD_MAX_SERIES_PER_POD`, `node` for `KPOD_MAX_SERIES`, `label` for a " +
      "label of more than 1024 characters. The same are left out at each scrape, as long as there are the same pods and " +
      "mounts: see [security.md](security.md#what-a-pod-can-make-it-cost).",
    ask: [
      "Where are series left out, and by which limit?",
      "max by (instance, limit) (kpod_series_dropped) > 0",
    ],
  },
  kpod_build_info: {
    ask: ["Which versions run, on which kernels?", "count by (version, kernel) (kpod_build_info)"],
  },
  kpod_discovery_pods: {
    mind: "Pods that the filter leaves out are among them.",
    ask: ["Pods in all.", "sum(kpod_discovery_pods)"],
  },
  kpod_discovery_last_success_timestamp_seconds: {
    ask: [
      "Which agents have had no answer for two minutes?",
      "time() - kpod_discovery_last_success_timestamp_seconds > 120",
    ],
  },
  kpod_discovery_errors_total: {
    mind: "All values of `reason` are served from 0 on.",
    ask: [
      "Why do polls of kubelets fail?",
      "sum by (reason) (increase(kpod_discovery_errors_total[1h])) > 0",
    ],
  },
  kpod_bpf_program_info: {
    mind:
      "`state` is `attached` or `unavailable`; then `reason` says why and the signal's metrics are absent.",
    ask: [
      "Which signals are not available, on how many nodes, and why?",
      'count by (signal, program, reason) (kpod_bpf_program_info{state="unavailable"})',
    ],
  },
  kpod_bpf_program_misses_total: {
    mind:
      "The kernel's `recursion_misses`: what a program lost because it interrupted itself, or was preempted " +
      "(from Linux 7.0 on, see [kernels.md](kernels.md#newer-kernels-lose-events-where-programs-are-preempted)).",
    ask: [
      "Which programs miss events?",
      "sum by (program) (increase(kpod_bpf_program_misses_total[1h])) > 0",
    ],
  },
  kpod_bpf_program_run_seconds_total: {
    mind:
      "Only while `kernel.bpf_stats_enabled` is 1, which costs some time itself; the agent never turns it on.",
    ask: [
      "The mean time of a run, in seconds.",
      "sum by (program) (rate(kpod_bpf_program_run_seconds_total[5m])) / " +
      "sum by (program) (rate(kpod_bpf_program_runs_total[5m]))",
    ],
  },
  kpod_bpf_program_runs_total: {
    mind: "Only while `kernel.bpf_stats_enabled` is 1.",
    ask: [
      "Which programs run most often?",
      "sum by (program) (rate(kpod_bpf_program_runs_total[5m]))",
    ],
  },
  kpod_bpf_map_entries: {
    ask: [
      "Which maps are nearly full? Raise `KPOD_BPF_MAX_CGROUPS`.",
      "kpod_bpf_map_entries / kpod_bpf_map_capacity > 0.8",
    ],
  },
  kpod_bpf_map_capacity: {
    mind: "Maps whose entries belong to tasks or sockets have no fixed room and no series here.",
    ask: ["How much room do the maps have?", "max by (map) (kpod_bpf_map_capacity)"],
  },
  kpod_bpf_map_memory_bytes: {
    ask: ["Kernel memory of all maps of a node.", "sum by (instance) (kpod_bpf_map_memory_bytes)"],
  },
  kpod_bpf_map_update_errors_total: {
    mind: "Anything but 0 means that something was not counted.",
    ask: [
      "Where were events lost for want of room?",
      "sum by (instance, map) (increase(kpod_bpf_map_update_errors_total[1h])) > 0",
    ],
  },
  kpod_web_config_last_reload_successful: {
    mind:
      "0 from a change that could not be used to the next that can; the log says why, and what was in force stays so.",
    ask: [
      "Which agents go on with what was to be exchanged?",
      "kpod_web_config_last_reload_successful == 0",
    ],
  },
  kpod_web_config_last_reload_success_timestamp_seconds: {
    mind: "The files are looked at every five seconds, and read anew when one has changed.",
    ask: [
      "How long ago was the last exchange, by node?",
      "time() - kpod_web_config_last_reload_success_timestamp_seconds",
    ],
  },
  process_cpu_user_seconds_total: {
    from: "`/proc/self/stat`",
    ask: ["CPUs that the agent uses in user space.", "rate(process_cpu_user_seconds_total[5m])"],
  },
  process_cpu_system_seconds_total: {
    from: "`/proc/self/stat`",
    ask: ["CPUs that the agent uses in the kernel.", "rate(process_cpu_system_seconds_total[5m])"],
  },
  process_cpu_seconds_total: {
    from: "`/proc/self/stat`",
    mind: "What the eBPF programs take is not in it: that is the observed tasks' time.",
    ask: [
      "What do the agents cost, in CPUs?",
      "sum(rate(process_cpu_seconds_total[5m]) and on (instance) kpod_build_info)",
    ],
  },
  process_start_time_seconds: {
    from: "`/proc/self/stat`",
    ask: [
      "Which agents were restarted in the last hour?",
      "changes(process_start_time_seconds[1h]) > 0 and on (instance) kpod_build_info",
    ],
  },
  process_resident_memory_bytes: {
    from: "`/proc/self/status`",
    ask: [
      "Which agents take most memory?",
      "topk(10, process_resident_memory_bytes and on (instance) kpod_build_info)",
    ],
  },
  process_virtual_memory_bytes: {
    from: "`/proc/self/stat`",
    mind: "Address space that the JavaScript engine reserves, not memory in use.",
    ask: [
      "Its address space.",
      "max(process_virtual_memory_bytes and on (instance) kpod_build_info)",
    ],
  },
  process_open_fds: {
    from: "the process's own table of descriptors",
    ask: [
      "Which agents are near their limit of open files?",
      "process_open_fds / process_max_fds > 0.8 and on (instance) kpod_build_info",
    ],
  },
  process_max_fds: {
    from: "`/proc/self/limits`",
    mind:
      "The agent keeps the files that it reads of each container's cgroup open; the doctor tells whether the limit allows it.",
    ask: ["The least limit there is.", "min(process_max_fds and on (instance) kpod_build_info)"],
  },
};
