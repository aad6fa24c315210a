/** Major page faults. */
import type { KernelCollectorDescription } from "./kernel_collector.ts";

export const PAGE_FAULTS: KernelCollectorDescription = {
  name: "page_faults",
  map: "page_faults",
  signals: ["page_faults"],
  counters: [{
    name: "kpod_mem_major_page_faults_total",
    help: "Page faults of the container that needed I/O.",
    signal: "page_faults",
    series: [{ counter: "major" }],
  }],
  histograms: [],
};
