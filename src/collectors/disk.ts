/** Block I/O by device, from io.stat. */
import { parseIoStat } from "../parse/io_stat.ts";
import type { CgroupCollectorDescription } from "./cgroup_collector.ts";
import type { Counters } from "./target_totals.ts";

export const DISK: CgroupCollectorDescription = {
  name: "disk",
  files: ["io.stat"],
  read(file) {
    const { devices } = parseIoStat(file("io.stat") ?? "");
    return {
      counters: new Map([...devices].map(([device, io]): [string, Counters] => [device, { ...io }])),
    };
  },
  counters: [
    {
      name: "kpod_disk_read_bytes_total",
      help: "Bytes read from the device for the container; what the page cache had is not among them.",
      value: "readBytes",
    },
    {
      name: "kpod_disk_written_bytes_total",
      help: "Bytes written to the device for the container, writeback of its page cache included.",
      value: "writtenBytes",
    },
    { name: "kpod_disk_reads_total", help: "Read requests to the device for the container.", value: "reads" },
    {
      name: "kpod_disk_writes_total",
      help: "Write requests to the device for the container.",
      value: "writes",
    },
  ],
  gauges: [],
  subkeyLabel: "device",
};
