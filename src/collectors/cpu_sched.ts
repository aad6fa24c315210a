/** Run-queue latency and context switches. */
import type { KernelCollectorDescription } from "./kernel_collector.ts";

export const CPU_SCHED: KernelCollectorDescription = {
  name: "cpu_sched",
  map: "cpu_sched",
  signals: ["cpu_sched"],
  counters: [{
    name: "kpod_cpu_context_switches_total",
    help: "Times a task of the container was switched out, voluntarily or not.",
    signal: "cpu_sched",
    series: [{ counter: "context_switches" }],
  }],
  histograms: [{
    name: "kpod_cpu_runqueue_latency_seconds",
    help: "Time that a task of the container was runnable before it got a CPU.",
    signal: "cpu_sched",
    prefix: "runqueue_latency",
  }],
};
