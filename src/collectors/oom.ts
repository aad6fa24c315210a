/** OOM kills, by the victim's container. */
import type { KernelCollectorDescription } from "./kernel_collector.ts";

export const OOM: KernelCollectorDescription = {
  name: "oom",
  map: "oom",
  signals: ["oom"],
  counters: [{
    name: "kpod_mem_oom_kills_total",
    help: "Processes of the container chosen as OOM victim, whoever ran out of memory.",
    signal: "oom",
    series: [{ counter: "kills" }],
  }],
  histograms: [],
};
