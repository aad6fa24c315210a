/** TCP by the container that owns the socket. */
import type { KernelCollectorDescription } from "./kernel_collector.ts";

export const TCP: KernelCollectorDescription = {
  name: "tcp",
  map: "tcp",
  signals: ["tcp_bytes_sent", "tcp_bytes_received", "tcp_retransmits", "tcp_connections", "tcp_rtt"],
  counters: [
    {
      name: "kpod_net_tcp_bytes_sent_total",
      help: "Bytes that the container's sockets handed to TCP successfully.",
      signal: "tcp_bytes_sent",
      series: [{ counter: "bytes_sent" }],
    },
    {
      name: "kpod_net_tcp_bytes_received_total",
      help: "Bytes that the container read from its TCP sockets; peeking is not reading.",
      signal: "tcp_bytes_received",
      series: [{ counter: "bytes_received" }],
    },
    {
      name: "kpod_net_tcp_retransmits_total",
      help: "TCP segments that a socket of the container sent again.",
      signal: "tcp_retransmits",
      series: [{ counter: "retransmits" }],
    },
    {
      name: "kpod_net_tcp_connections_total",
      help: "TCP connections of the container that reached ESTABLISHED, by which end opened them.",
      signal: "tcp_connections",
      series: [
        { counter: "connections_active", label: ["direction", "active"] },
        { counter: "connections_passive", label: ["direction", "passive"] },
      ],
    },
    {
      name: "kpod_net_tcp_connect_failures_total",
      help: "TCP connections that the container tried to open and that never reached ESTABLISHED.",
      signal: "tcp_connections",
      series: [{ counter: "connect_failures" }],
    },
  ],
  histograms: [{
    name: "kpod_net_tcp_rtt_seconds",
    help: "Smoothed TCP round-trip time, as each segment is received on an established socket.",
    signal: "tcp_rtt",
    prefix: "rtt",
  }],
};
