/** Pressure stall information, from cpu.pressure, memory.pressure and io.pressure. */
import { parsePressure } from "../parse/pressure.ts";
import type { CgroupCollectorDescription, CgroupFamily } from "./cgroup_collector.ts";

const RESOURCES = [["cpu", "a CPU"], ["memory", "memory"], ["io", "I/O"]] as const;

export const PRESSURE: CgroupCollectorDescription = {
  name: "pressure",
  files: RESOURCES.map(([resource]) => `${resource}.pressure`),
  read(file) {
    const counters: Record<string, number> = {};
    for (const [resource] of RESOURCES) {
      const { someSeconds, fullSeconds } = parsePressure(file(`${resource}.pressure`) ?? "");
      if (someSeconds !== undefined) counters[`${resource}_waiting`] = someSeconds;
      if (fullSeconds !== undefined) counters[`${resource}_stalled`] = fullSeconds;
    }
    return { counters: new Map([["", counters]]) };
  },
  counters: RESOURCES.flatMap(([resource, what]): CgroupFamily[] => [
    {
      name: `kpod_pressure_${resource}_waiting_seconds_total`,
      help: `Time in which at least one task of the container waited for ${what}.`,
      value: `${resource}_waiting`,
    },
    {
      name: `kpod_pressure_${resource}_stalled_seconds_total`,
      help: `Time in which all tasks of the container that had something to do waited for ${what}.`,
      value: `${resource}_stalled`,
    },
  ]),
  gauges: [],
};
