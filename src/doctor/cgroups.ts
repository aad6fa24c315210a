/** The cgroup hierarchy: where it is, what it offers, and the pods in it. */
import {
  type ContainerCgroup,
  findKubepods,
  type KubepodsRoot,
  listContainers,
} from "../cgroup/hierarchy.ts";
import { NativeError } from "../native/error.ts";
import type { HostRoot } from "../native/host_files.ts";
import { fail, type Finding, type HostFiles, ok, textIfThere, warn } from "./finding.ts";

/** The pods in a hierarchy. */
export interface PodCgroups {
  readonly kubepods: KubepodsRoot | undefined;
  readonly containers: readonly ContainerCgroup[];
}

/** Looks for the kubepods root and the containers in it. */
export function findPods(hierarchy: HostRoot): PodCgroups {
  const kubepods = findKubepods(hierarchy);
  return { kubepods, containers: kubepods && listContainers(hierarchy, kubepods) || [] };
}

/** `path` is where cgroup v2 was found. */
export function hierarchyMode(path: string, proc: HostFiles): Finding {
  const v1 = v1Controllers(textIfThere(proc, "cgroups") ?? "");
  if (v1.length === 0) return ok("cgroup v2", `${path}, with no version 1 beside it`);
  return ok("cgroup v2", `${path}, beside version 1, which has ${v1.join(", ")}`);
}

/**
 * Controllers that a version 1 hierarchy has. The second column of /proc/cgroups is 0 for those of version 2, and for
 * those that none has (cgroups(7)):
 *
 * ```text
 * #subsys_name  hierarchy  num_cgroups  enabled
 * cpuset        3          1            1
 * ```
 */
function v1Controllers(cgroups: string): string[] {
  return cgroups.split("\n").flatMap((line) => {
    const [, name, hierarchy] = /^(\w+)\s+(\d+)\s/.exec(line) ?? [];
    return name === undefined || hierarchy === "0" ? [] : [name];
  });
}

/** What each controller's files are for. cpu.stat is there without its controller, but then has no throttling. */
const USES: readonly { readonly controller: string; readonly collector: string; readonly series: string }[] =
  [
    {
      controller: "cpu",
      collector: "cpu",
      series: "kpod_cpu_periods_total, kpod_cpu_throttled_periods_total and kpod_cpu_throttled_seconds_total",
    },
    { controller: "io", collector: "disk", series: "all series" },
    { controller: "memory", collector: "memory", series: "all series" },
    { controller: "pids", collector: "pids", series: "all series" },
  ];

/** `directory` is the cgroup to look at, and `collectors` are the names of those enabled. */
export function controllers(
  hierarchy: HostFiles,
  directory: string,
  collectors: readonly string[],
  proc: HostFiles,
): Finding {
  const names = hierarchy.readText(`${directory}/cgroup.controllers`).trim().split(/\s+/).filter(Boolean);
  const missing = USES.filter(({ controller, collector }) =>
    collectors.includes(collector) && !names.includes(controller)
  );
  const found = `${names.join(", ") || "none"} at ${join(hierarchy, directory)}`;
  if (missing.length === 0) return ok("controllers", found);
  const absent = missing.map(({ collector, series }) => `${series} of ${collector}`).join("; ");
  const v1 = v1Controllers(textIfThere(proc, "cgroups") ?? "");
  const remedy = missing.some(({ controller }) => v1.includes(controller === "io" ? "blkio" : controller))
    ? "boot the node with systemd.unified_cgroup_hierarchy=1, so that version 2 has all controllers"
    : "add them to cgroup.subtree_control of the cgroups above";
  return warn(
    "controllers",
    `${found}; lacks ${missing.map(({ controller }) => controller).join(", ")}`,
    `${remedy}; as it is, there will be no series: ${absent}`,
  );
}

const RESOURCES = ["cpu", "io", "memory"];

/** Pressure stall information; the kernel may be built without it, or booted with it off. */
export function pressure(hierarchy: HostFiles, directory: string, collectors: readonly string[]): Finding {
  const reasons = RESOURCES.map((resource) => {
    try {
      hierarchy.readText(`${directory}/${resource}.pressure`);
      return undefined;
    } catch (error) {
      return error instanceof NativeError ? error.code : String(error);
    }
  });
  const missing = RESOURCES.flatMap((resource, index) =>
    reasons[index] === undefined ? [] : [`${resource}.pressure (${reasons[index]})`]
  );
  const place = join(hierarchy, directory);
  if (missing.length === 0) return ok("pressure", `cpu, io and memory at ${place}`);
  const found = `cannot read ${missing.join(", ")} at ${place}`;
  if (!collectors.includes("pressure")) return ok("pressure", `${found}; not needed`);
  const advice =
    "boot the node with psi=1 and a kernel with CONFIG_PSI, and leave cgroup.pressure at 1; as it is, " +
    "series of the pressure collector will be absent";
  return warn("pressure", found, advice);
}

export function kubepodsRoot({ kubepods, containers }: PodCgroups, hierarchy: HostFiles): Finding {
  if (kubepods === undefined) {
    const advice =
      "start the kubelet, or set KPOD_CGROUP_ROOT to where the host's /sys/fs/cgroup is: the agent waits " +
      "until there is a kubepods or kubepods.slice";
    return fail("kubepods", `no kubepods cgroup in ${hierarchy.path}`, advice);
  }
  const driver = kubepods.path.endsWith(".slice") ? "systemd" : "cgroupfs";
  const pods = new Set(containers.map(({ podUid }) => podUid)).size;
  const place = join(hierarchy, kubepods.path);
  return ok(
    "kubepods",
    `${place}, driver ${driver}: ${pods} pods, ${containers.length} containers with sandboxes`,
  );
}

function join(hierarchy: HostFiles, directory: string): string {
  return directory === "." ? hierarchy.path : `${hierarchy.path}/${directory}`;
}
