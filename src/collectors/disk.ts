/** Block I/O by device, from io.stat. */
import type { Counters } from "./target_totals.ts";
import { parseIoStat } from "../parse/io_stat.ts";
import type { CgroupCollectorDescription } from "./cgroup_collector.ts";

/** `deviceName` tells what the device `major:minor` is called. */
export function diskDescription(deviceName: (device: string) => string): CgroupCollectorDescription {
  return {
    name: "disk",
    files: ["io.stat"],
    read(file) {
      const { devices } = parseIoStat(file("io.stat") ?? "");
      return {
        counters: new Map([...devices].map(([device, io]): [string, Counters] => [device, { ...io }])),
      };
    },
    counters: [
      { name: "kpod_disk_read_bytes_total", help: "Bytes read from the device.", value: "readBytes" },
      { name: "kpod_disk_written_bytes_total", help: "Bytes written to the device.", value: "writtenBytes" },
      { name: "kpod_disk_reads_total", help: "Read requests to the device.", value: "reads" },
      { name: "kpod_disk_writes_total", help: "Write requests to the device.", value: "writes" },
    ],
    gauges: [],
    subkeyLabel: { name: "device", value: deviceName },
  };
}
