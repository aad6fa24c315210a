/** Notes on what the eBPF programs count. */
import type { Notes } from "./note.ts";

export const KERNEL_NOTES: Notes = {
  kpod_cpu_context_switches_total: {
    mind: "Equal to the voluntary and involuntary switches in `/proc/PID/task/*/status`.",
    ask: [
      "Which pods switch most?",
      "topk(10, sum by (namespace, pod) (rate(kpod_cpu_context_switches_total[5m])))",
    ],
  },
  kpod_cpu_runqueue_latency_seconds: {
    event: "a task of the container got the CPU after it had been woken, forked or preempted",
    mind:
      "Count and sum are the scheduler's own account: fields 3 and 2 of `/proc/PID/schedstat`, to the nanosecond. " +
      "How long each single wait was is known as well, which schedstat does not tell.",
    ask: [
      "Which pods wait longest for a CPU? The 99th percentile, in seconds.",
      "topk(10, histogram_quantile(0.99, sum by (namespace, pod, le) (rate(kpod_cpu_runqueue_latency_seconds_bucket[5m]))))",
    ],
  },
  kpod_net_tcp_bytes_sent_total: {
    event: "a byte was handed to TCP by send, sendfile, splice or io_uring",
    mind:
      "Equal to what the program's calls returned. Bytes sent again count once; with kernel TLS they are the " +
      "records' bytes.",
    ask: [
      "What do pods send, in bytes a second?",
      "sum by (namespace, pod) (rate(kpod_net_tcp_bytes_sent_total[5m]))",
    ],
  },
  kpod_net_tcp_bytes_received_total: {
    event: "a byte was taken from a TCP socket by recv, read, splice, io_uring or zero copy",
    mind:
      "Equal to what the program's calls returned. Of a connection older than the agent the first piece is missing.",
    ask: [
      "What do pods receive, in bytes a second?",
      "sum by (namespace, pod) (rate(kpod_net_tcp_bytes_received_total[5m]))",
    ],
  },
  kpod_net_tcp_retransmits_total: {
    event: "a segment left a socket of the container again, SYN-ACKs of its listeners included",
    mind:
      "Equal to `RetransSegs` of the pod's network namespace. One large packet counts its segments; an attempt that " +
      "failed counts nothing.",
    ask: [
      "Segments sent again for each MiB sent, by pod.",
      "sum by (namespace, pod) (rate(kpod_net_tcp_retransmits_total[5m])) / " +
      "(sum by (namespace, pod) (rate(kpod_net_tcp_bytes_sent_total[5m])) / 1048576)",
    ],
  },
  kpod_net_tcp_connections_total: {
    event:
      "a connection reached ESTABLISHED; `direction` is `active` at the end that opened it, else `passive`",
    mind:
      "Equal to `ActiveOpens` and `PassiveOpens` less failures. An accepted connection is the listener's.",
    ask: [
      "New connections a second, opened and accepted.",
      "sum by (namespace, pod, direction) (rate(kpod_net_tcp_connections_total[5m]))",
    ],
  },
  kpod_net_tcp_connect_failures_total: {
    event: "an active open ended without ever having been ESTABLISHED",
    mind:
      "Equal to `AttemptFails`, but that a connect given up unanswered, or without a free port, counts too.",
    ask: [
      "The share of connects that fail, by pod.",
      "sum by (namespace, pod) (rate(kpod_net_tcp_connect_failures_total[5m])) / " +
      "(sum by (namespace, pod) (rate(kpod_net_tcp_connect_failures_total[5m])) + " +
      'sum by (namespace, pod) (rate(kpod_net_tcp_connections_total{direction="active"}[5m])))',
    ],
  },
  kpod_net_tcp_rtt_seconds: {
    event:
      "a segment was received on an established socket of the container; the value is the smoothed RTT then",
    mind: "The value is `TCP_INFO`'s `tcpi_rtt`. A busy connection weighs more than an idle one.",
    ask: [
      "The mean round-trip time of each pod, in seconds.",
      "sum by (namespace, pod) (rate(kpod_net_tcp_rtt_seconds_sum[5m])) / " +
      "sum by (namespace, pod) (rate(kpod_net_tcp_rtt_seconds_count[5m]))",
    ],
  },
  kpod_mem_oom_kills_total: {
    event: "a process of the container was marked as OOM victim, whoever ran out of memory",
    mind:
      "Equal to `oom_kill` in `memory.events` and to the kernel's log. A task that is dying already counts as a " +
      "kill.",
    ask: [
      "Who was OOM-killed in the last hour?",
      "sum by (namespace, pod, container) (increase(kpod_mem_oom_kills_total[1h])) > 0",
    ],
  },
  kpod_mem_major_page_faults_total: {
    event: "a task of the container had to wait for I/O to get a page",
    mind:
      "Equal to `majflt` in `/proc/PID/stat`. CPUs that came online after the agent started are not seen.",
    ask: [
      "Which pods wait for their own pages?",
      "topk(10, sum by (namespace, pod) (rate(kpod_mem_major_page_faults_total[5m])))",
    ],
  },
  kpod_syscall_count_total: {
    event: "a task of the container entered a tracked system call",
    mind:
      "Equal to the program's own count. 32-bit calls are not counted; one that the kernel makes again after a " +
      "signal counts twice.",
    ask: [
      "Calls a second, by call.",
      "sum by (namespace, pod, syscall) (rate(kpod_syscall_count_total[5m]))",
    ],
  },
  kpod_syscall_errors_total: {
    event: "a tracked system call returned between -4095 and -1",
    mind:
      "Equal to the errors that the program saw. `EAGAIN` of a socket that does not block is one of them.",
    ask: [
      "The share of calls that fail.",
      "sum by (namespace, pod, syscall) (rate(kpod_syscall_errors_total[5m])) / " +
      "sum by (namespace, pod, syscall) (rate(kpod_syscall_count_total[5m]))",
    ],
  },
  kpod_syscall_latency_seconds: {
    event: "a tracked system call returned; the value is the time since its entry",
    mind:
      "Within 5 % of known sleeps. A call that never returns has a count and no latency; `epoll_wait` and `futex` mostly wait " +
      "because there is nothing to do.",
    ask: [
      "The 99th percentile of the time that connecting takes, in seconds.",
      'histogram_quantile(0.99, sum by (namespace, pod, le) (rate(kpod_syscall_latency_seconds_bucket{syscall="connect"}[5m])))',
    ],
  },
};
