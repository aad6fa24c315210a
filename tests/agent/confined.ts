/**
 * The agent as its DaemonSet confines it: in the cgroup of a container, in PID, mount and cgroup namespaces of its own,
 * with the host's /proc and cgroups mounted read-only elsewhere, and with just these capabilities.
 */
import { join, relative } from "node:path";
import type { Capability } from "../../src/native/capabilities.ts";
import { findCgroup2Mount } from "../lab/cgroups.ts";
import type { LabNode } from "../lab/node.ts";
import type { LabContainer } from "../lab/pods.ts";
import { capabilities } from "../manifests/manifests.ts";
import { type Labels, ROOT } from "./agent.ts";

/** What the DaemonSet adds to none, without `CAP_`. */
export const AGENT_CAPABILITIES = capabilities() as readonly Capability[];

export interface Confinement {
  /** Without `CAP_`. */
  readonly capabilities: readonly Capability[];
  /** Whether the host's /proc is mounted. @default true */
  readonly hostProc?: boolean;
  /** @default 0 */
  readonly uid?: number;
}

/** Takes the container's cgroup, the mount of cgroup v2, a directory for the host's, "proc" for that too, the command. */
const CONFINE = `
  echo $$ > "$0/cgroup.procs"
  exec unshare --cgroup --pid --fork --kill-child --mount --propagation private sh -ec '
    mount --bind "$0" "$1/cgroup"
    mount -o remount,bind,ro "$1/cgroup"
    if [ "$2" = proc ]; then
      mount --bind /proc "$1/proc"
      mount -o remount,bind,ro "$1/proc"
    fi
    mount -t proc proc /proc
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    shift 2
    exec "$@"' "$@"`;

/** How to run the agent in a container of the node, which must run. */
export async function confine(
  node: LabNode,
  { cgroup = "" }: LabContainer,
  { capabilities, hostProc = true, uid = 0 }: Confinement,
): Promise<{ settings: Labels; wrapper: readonly string[] }> {
  const host = join(node.directory, "host");
  for (const name of ["proc", "cgroup"]) await Deno.mkdir(join(host, name), { recursive: true });
  const mount = findCgroup2Mount();
  return {
    settings: {
      ...node.agentEnvironment(),
      ...uid === 0 ? {} : { DENO_DIR: await shareWith(uid, node.directory) },
      ...hostProc ? { KPOD_PROC_ROOT: join(host, "proc") } : {},
      KPOD_CGROUP_ROOT: join(host, "cgroup", relative(mount, node.root)),
    },
    wrapper: [
      ...["sh", "-ec", CONFINE, cgroup, mount, host, hostProc ? "proc" : "none"],
      ...dropping(capabilities, uid),
    ],
  };
}

/** Lets a user into the lab's directory, where the token is; returns a directory for the runtime's cache. */
async function shareWith(uid: number, directory: string): Promise<string> {
  const cache = join(directory, `cache-${uid}`);
  await Deno.mkdir(cache);
  await Deno.chown(cache, uid, uid);
  await Deno.chmod(directory, 0o755);
  return cache;
}

/** Whether a user other than root can read this checkout and run the runtime. */
export function canBe(uid: number): boolean {
  const test = `test -r "$0" && test -x "$1"`;
  const args = [
    `--reuid=${uid}`,
    "--clear-groups",
    "sh",
    "-c",
    test,
    join(ROOT, "native/build/libkpod.so"),
    Deno.execPath(),
  ];
  return new Deno.Command("setpriv", { args }).outputSync().success;
}

/** A container runtime leaves uid 0 what is in the bounding set; any other has to have it as ambient capabilities. */
function dropping(capabilities: readonly string[], uid: number): string[] {
  const set = ["-all", ...capabilities.map((name) => `+${name.toLowerCase()}`)].join();
  return [
    "setpriv",
    "--no-new-privs",
    // A change of user clears the one that unshare has set.
    "--pdeathsig=SIGKILL",
    `--bounding-set=${set}`,
    `--inh-caps=${set}`,
    ...uid === 0 ? [] : [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", `--ambient-caps=${set}`],
  ];
}
