/** Processes of cgroups, through which their namespaces are seen. */
import type { CgroupFiles } from "../cgroup/files.ts";
import { NativeError } from "../native/error.ts";
import { parseUnsigned } from "../parse/text.ts";

/** The file of a cgroup that lists its processes, those of cgroups below it left out. */
export const PROCESSES_FILE = "cgroup.procs";

/** A cgroup may hold ten thousand; one is needed, and a few more in case it ends meanwhile. */
const ENOUGH = 4;

/**
 * The first few processes of each of these cgroups that has any.
 *
 * @throws {Error} if none can be seen: the kernel gives 0 for a process outside the reader's PID namespace
 * (`__cgroup_procs_show` in kernel/cgroup/cgroup.c).
 */
export function readProcesses(
  files: Pick<CgroupFiles, "text">,
  cgroups: Iterable<{ readonly id: bigint }>,
): ReadonlyMap<bigint, readonly number[]> {
  const processes = new Map<bigint, number[]>();
  let hidden = 0;
  for (const { id } of cgroups) {
    const pids = (files.text(id, PROCESSES_FILE) ?? "").split("\n", ENOUGH).flatMap((line) =>
      parseUnsigned(line) ?? []
    );
    const seen = pids.filter((pid) => pid > 0);
    // One that is just being reaped reads 0 as well.
    hidden += pids.length - seen.length;
    if (seen.length > 0) processes.set(id, seen);
  }
  if (hidden > 0 && processes.size === 0) {
    throw new Error(
      `Cannot look into containers: got process id 0 from ${PROCESSES_FILE}; run in the host's PID namespace (hostPID: true)`,
    );
  }
  return processes;
}

/**
 * What a file of a process is missing with: it has ended, or is a dead leader of living threads, which has no
 * namespaces (`EINVAL` from `mounts_open_common` in fs/proc_namespace.c, `ENXIO` from `seq_open_net` in fs/proc/proc_net.c).
 */
const GONE: readonly string[] = ["ENOENT", "ESRCH", "EINVAL", "ENXIO"];

/** What `read` makes of the first of these processes that is still there; `undefined` if none is. */
export function fromFirst<T>(pids: readonly number[], read: (pid: number) => T): T | undefined {
  for (const pid of pids) {
    try {
      return read(pid);
    } catch (error) {
      if (!(error instanceof NativeError && GONE.includes(error.code))) throw error;
    }
  }
  return undefined;
}
