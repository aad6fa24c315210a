/** Whether the containers' processes can be seen from here, through which their namespaces are looked at. */
import { basename } from "node:path";
import type { ContainerCgroup } from "../cgroup/hierarchy.ts";
import type { HostRoot, ProcessCgroup } from "../native/host_files.ts";
import { flatKeyedValue } from "../parse/flat_keyed.ts";
import { type Finding, type HostFiles, ok, textIfThere, warn } from "./finding.ts";

/** Collectors that look at processes of the containers. */
const LOOK_AT_PROCESSES: readonly string[] = ["interface", "filesystem"];

/** `proc` is the proc filesystem that collectors read, and `collectors` are the names of those enabled. */
export function hostProcesses(
  hierarchy: HostFiles,
  containers: readonly ContainerCgroup[],
  proc: Pick<HostRoot, "path" | "processes">,
  collectors: readonly string[],
): Finding {
  const looking = collectors.filter((name) => LOOK_AT_PROCESSES.includes(name));
  if (looking.length === 0) return ok("host processes", "not looked at: no enabled collector needs them");
  const populated = containers.filter(({ path }) =>
    flatKeyedValue(path && textIfThere(hierarchy, `${path}/cgroup.events`) || "", "populated") === 1
  );
  if (populated.length === 0) return ok("host processes", "no container has a process now");
  const directories = new Set(populated.map(({ path = "" }) => basename(path)));
  const isInContainer = ({ cgroup }: ProcessCgroup) =>
    cgroup.split("/").some((directory) => directories.has(directory));
  const seen = proc.processes().find(isInContainer);
  if (seen !== undefined) {
    return ok("host processes", `seen in ${proc.path}: process ${seen.pid} is a container's`);
  }
  const advice =
    "mount the host's /proc, without hidepid, and set KPOD_PROC_ROOT to where it is; as it is, " +
    `${looking.join(" and ")} will have no series`;
  return warn("host processes", `${proc.path} shows no process of any container`, advice);
}
