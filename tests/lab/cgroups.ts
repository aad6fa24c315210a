/**
 * Cgroups named just as a kubelet names them, all below a root of their own, and their removal.
 * Nothing here touches a directory that it did not make.
 */
import { basename, join } from "node:path";

export type CgroupDriver = "systemd" | "cgroupfs";
export type ContainerRuntime = "containerd" | "cri-o" | "docker";
export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";

/** A lab's directories carry the id of the process that made them, so that a dead one's can be found. */
const LAB_NAME = /^kpod-lab-(\d+)(?:-.*)?$/;
const REMOVAL_LIMIT_MS = 5_000;
const REMOVAL_PAUSE_MS = 10;

/** Returns where cgroup v2 is mounted (`/sys/fs/cgroup`, or `…/unified` on a hybrid host). */
export function findCgroup2Mount(mountinfo?: string): string {
  const found = mounts(mountinfo).find((mount) => mount.type === "cgroup2");
  if (found === undefined) {
    throw new Error("Cannot find cgroup v2: got no such mount in /proc/self/mountinfo; mount it first");
  }
  return found.point;
}

/** Returns where the v1 memory controller is mounted, if it is. */
export function findMemoryV1Mount(mountinfo?: string): string | undefined {
  return mounts(mountinfo).find((mount) => mount.type === "cgroup" && mount.options.includes("memory"))
    ?.point;
}

/** One line: `38 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw` (proc_pid_mountinfo(5)). */
function mounts(text = Deno.readTextFileSync("/proc/self/mountinfo")) {
  return text.split("\n").filter((line) => line.includes(" - ")).map((line) => {
    const [left = "", right = ""] = line.split(" - ");
    const [type = "", , options = ""] = right.split(" ");
    return { point: left.split(" ")[4] ?? "", type, options: options.split(",") };
  });
}

/**
 * Returns a pod's directory below the kubelet's cgroup root. A guaranteed pod has no level for its QoS
 * class (Kubernetes `pkg/kubelet/cm/pod_container_manager_linux.go`), and systemd slices spell the path
 * again in each name, with `_` for the dashes of the uid (`cgroup_manager_linux.go`).
 */
export function podDirectory(uid: string, qosClass: QosClass, driver: CgroupDriver): string {
  const qos = qosClass === "Guaranteed" ? [] : [qosClass.toLowerCase()];
  if (driver === "cgroupfs") return ["kubepods", ...qos, `pod${uid}`].join("/");
  const levels = ["kubepods", ...qos, `pod${uid.replaceAll("-", "_")}`];
  return levels.map((_, depth) => `${levels.slice(0, depth + 1).join("-")}.slice`).join("/");
}

/** Returns the name of a container's directory in its pod's. */
export function containerDirectory(id: string, driver: CgroupDriver, runtime: ContainerRuntime): string {
  if (driver === "cgroupfs") return runtime === "cri-o" ? `crio-${id}` : id;
  const prefix = { containerd: "cri-containerd", "cri-o": "crio", docker: "docker" }[runtime];
  return `${prefix}-${id}.scope`;
}

/** Returns the cgroup's id, which is its directory's inode (`cgroup_id()` in `include/linux/cgroup.h`). */
export function cgroupId(directory: string): number {
  return Deno.statSync(directory).ino ?? 0;
}

/** A root directory in one hierarchy and everything made below it. */
export class CgroupTree implements AsyncDisposable {
  private constructor(readonly root: string) {}

  /** Makes the root, whose name must be `kpod-lab-<process id>`, with or without a `-suffix`. */
  static create(root: string): CgroupTree {
    if (!LAB_NAME.test(basename(root))) {
      throw new RangeError(`Cannot use the cgroup root: got ${root}; name it kpod-lab-<process id>`);
    }
    Deno.mkdirSync(root);
    return new CgroupTree(root);
  }

  /**
   * Makes a directory below the root and its parents; returns its path. With `delegate` every level, itself
   * included, hands its controllers on, so that containers made in it have them; it may then hold no process
   * itself (cgroups.rst, "No Internal Process Constraint").
   */
  make(relative: string, delegate = false): string {
    const levels = relative.split("/").map((_, depth, names) => names.slice(0, depth + 1).join("/"));
    for (const path of levels.map((level) => join(this.root, level))) {
      if (!exists(path)) Deno.mkdirSync(path);
    }
    if (delegate) ["", ...levels].forEach((level) => enableControllers(join(this.root, level)));
    return join(this.root, relative);
  }

  /** Kills what is in a directory of the tree and removes it with all below. */
  async remove(directory: string): Promise<void> {
    if (directory !== this.root && !directory.startsWith(`${this.root}/`)) {
      throw new RangeError(`Cannot remove ${directory}: it is not in ${this.root}`);
    }
    await removeCgroup(directory);
  }

  /** Removes the whole tree. */
  removeAll(): Promise<void> {
    return removeCgroup(this.root);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.removeAll();
  }
}

/**
 * Limits the memory of a container. On cgroup v2 that is a file of its directory; on a hybrid host it is a
 * directory in the v1 hierarchy, made in `v1` and returned, which the container's processes must join too.
 */
export function limitMemory(
  directory: string,
  bytes: number,
  v1: CgroupTree | undefined,
): string | undefined {
  if (exists(`${directory}/memory.max`)) {
    if (exists(`${directory}/memory.swap.max`)) Deno.writeTextFileSync(`${directory}/memory.swap.max`, "0");
    Deno.writeTextFileSync(`${directory}/memory.max`, String(bytes));
    return undefined;
  }
  if (v1 === undefined) {
    throw new Error(`Cannot limit the memory of ${directory}: got no memory controller, neither v2 nor v1`);
  }
  const limited = v1.make(basename(directory));
  Deno.writeTextFileSync(`${limited}/memory.limit_in_bytes`, String(bytes));
  Deno.writeTextFileSync(`${limited}/memory.swappiness`, "0");
  return limited;
}

/** Removes the trees in a hierarchy whose maker is gone. */
export async function removeStaleTrees(mount: string): Promise<void> {
  for await (const entry of Deno.readDir(mount)) {
    if (isStale(entry.name)) await removeCgroup(join(mount, entry.name));
  }
}

/** Whether a name is that of a lab whose process no longer exists. */
export function isStale(name: string): boolean {
  const pid = LAB_NAME.exec(name)?.[1];
  return pid !== undefined && !exists(`/proc/${pid}`);
}

/** Gives the children of a v2 directory every controller it has itself. */
function enableControllers(directory: string): void {
  for (const name of Deno.readTextFileSync(`${directory}/cgroup.controllers`).split(/\s+/).filter(Boolean)) {
    Deno.writeTextFileSync(`${directory}/cgroup.subtree_control`, `+${name}`);
  }
}

async function removeCgroup(directory: string): Promise<void> {
  const deadline = performance.now() + REMOVAL_LIMIT_MS;
  while (exists(directory)) {
    kill(directory);
    try {
      for (const path of bottomUp(directory)) await Deno.remove(path);
    } catch (error) {
      if (performance.now() > deadline) {
        throw new Error(`Cannot remove the cgroup ${directory}: something in it does not die`, {
          cause: error,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, REMOVAL_PAUSE_MS));
    }
  }
}

/** `cgroup.kill` exists from Linux 5.14, and only in v2. */
function kill(directory: string): void {
  if (exists(`${directory}/cgroup.kill`)) return Deno.writeTextFileSync(`${directory}/cgroup.kill`, "1");
  for (const path of bottomUp(directory)) {
    for (const pid of Deno.readTextFileSync(`${path}/cgroup.procs`).split("\n").filter(Boolean)) {
      try {
        Deno.kill(Number(pid), "SIGKILL");
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
}

function bottomUp(directory: string): string[] {
  const below = [...Deno.readDirSync(directory)].filter((entry) => entry.isDirectory);
  return [...below.flatMap((entry) => bottomUp(join(directory, entry.name))), directory];
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
