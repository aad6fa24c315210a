/** A procfs with the processes of containers, in place of the host's. */
import type { LiveCgroup } from "../../src/cgroup/targets.ts";
import type { ProcessCycle } from "../../src/collectors/processes.ts";
import { NativeError } from "../../src/native/error.ts";
import type { Directory, HostRoot, ProcessCgroup } from "../../src/native/host_files.ts";

const ENOENT = 2;

export class FakeProc implements Pick<HostRoot, "path" | "processes" | "readText" | "walk"> {
  readonly path = "/host/proc";
  /** Cgroups as PID/cgroup shows them, by process, in the order in which they are listed. */
  readonly cgroups = new Map<number, string>();
  /** Files by path, such as `7/net/dev`; all others of a process are missing. */
  readonly files = new Map<string, string>();
  /** Inodes of directories by path. */
  readonly directories = new Map<string, bigint>();
  /** How often all processes were looked at. */
  walks = 0;

  /** Processes are in this cgroup from now on. */
  put(cgroup: string, ...pids: readonly number[]): void {
    for (const pid of pids) this.cgroups.set(pid, cgroup);
  }

  processes(pids?: readonly number[]): ProcessCgroup[] {
    if (pids === undefined) this.walks++;
    return [...this.cgroups].filter(([pid]) => pids?.includes(pid) ?? true)
      .map(([pid, cgroup]) => ({ pid, cgroup }));
  }

  readText(path: string): string {
    const text = this.files.get(path);
    if (text === undefined) throw new NativeError(`read ${path}`, ENOENT);
    return text;
  }

  walk(path: string): Directory[] {
    const id = this.directories.get(path);
    if (id === undefined) throw new NativeError(`walk ${path}`, ENOENT);
    return [{ id, depth: 0, path }];
  }
}

/** A container's cgroup that exists, by its id and path. */
export function liveCgroup(id: bigint, path: string): LiveCgroup {
  return { id, path, podUid: "u", target: undefined };
}

/** A cycle over these cgroups, all of which have processes but for those with these ids. */
export function processCycle(live: readonly LiveCgroup[], empty: readonly bigint[] = []): ProcessCycle {
  const text = (id: bigint, name: string) =>
    name === "cgroup.events" ? `populated ${empty.includes(id) ? 0 : 1}\nfrozen 0\n` : undefined;
  return { targets: { live: () => [...live] }, files: { text } };
}
