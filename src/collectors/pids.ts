/** Number of tasks, from pids.current. */
import { parseSingleValue } from "../parse/single_value.ts";
import type { CgroupCollectorDescription } from "./cgroup_collector.ts";

export const PIDS: CgroupCollectorDescription = {
  name: "pids",
  files: ["pids.current"],
  read(file) {
    const current = parseSingleValue(file("pids.current") ?? "");
    return current === undefined ? {} : { gauges: { current } };
  },
  counters: [],
  gauges: [{ name: "kpod_pids_current", help: "Processes and threads of the container.", value: "current" }],
};
