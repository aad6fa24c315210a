/** Whether the containers' processes can be seen from here, through which their namespaces are looked at. */
import type { ContainerCgroup } from "../cgroup/hierarchy.ts";
import { type Finding, type HostFiles, ok, textIfThere, warn } from "./finding.ts";

/** Collectors that look at processes of the containers. */
const LOOK_AT_PROCESSES: readonly string[] = ["interface", "filesystem"];

/** A process may end between being listed and being looked at; not all of so many do. */
const ENOUGH = 20;

/** `proc` is the proc filesystem that collectors read, and `collectors` are the names of those enabled. */
export function hostProcesses(
  hierarchy: HostFiles,
  containers: readonly ContainerCgroup[],
  proc: HostFiles,
  collectors: readonly string[],
): Finding {
  const looking = collectors.filter((name) => LOOK_AT_PROCESSES.includes(name));
  if (looking.length === 0) return ok("host processes", "not looked at: no enabled collector needs them");
  const pids = containers.flatMap(({ path }) => {
    const [first = ""] = (path && textIfThere(hierarchy, `${path}/cgroup.procs`) || "").split("\n", 1);
    return first === "" ? [] : [first];
  }).slice(0, ENOUGH);
  if (pids.length === 0) return ok("host processes", "no container has a process now");
  const absent = `as it is, ${looking.join(" and ")} will have no series`;
  // The kernel gives 0 for a process outside the reader's PID namespace (kernel/cgroup/cgroup.c).
  if (pids.every((pid) => pid === "0")) {
    const advice = `run the agent in the host's PID namespace (hostPID: true); ${absent}`;
    return warn("host processes", "those of containers are hidden from this PID namespace", advice);
  }
  const seen = pids.find((pid) => textIfThere(proc, `${pid}/net/dev`) !== undefined);
  if (seen !== undefined) {
    return ok("host processes", `seen in ${proc.path}: process ${seen} is a container's`);
  }
  const advice = `set KPOD_PROC_ROOT to where the host's /proc is; ${absent}`;
  return warn("host processes", `${proc.path} has no process ${pids[0]}, which is a container's`, advice);
}
