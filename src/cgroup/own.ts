/** The cgroup that this process is in. */
import { NativeError } from "../native/error.ts";
import { cgroupPathOf, HostRoot } from "../native/host_files.ts";

/**
 * Its id; `undefined` if it is in no cgroup v2, or that is not where it is looked for.
 *
 * @param proc Its own procfs.
 * @param sysRoot Where its own sysfs is, in which `fs/cgroup` begins where its cgroup namespace does.
 */
export function ownCgroupId(proc: Pick<HostRoot, "readText">, sysRoot: string): bigint | undefined {
  const path = cgroupPathOf(proc.readText("self/cgroup"));
  if (path === undefined) return undefined;
  try {
    using sys = HostRoot.open(sysRoot);
    return sys.walk(`fs/cgroup${path.replace(/\/$/, "")}`, 0)[0]?.id;
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    return undefined;
  }
}
