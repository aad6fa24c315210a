/**
 * Which of a process's mounts `df` would show there, as `filter_mount_list` and `get_dev` in df.c of GNU
 * coreutils 9 choose them: one for each filesystem, and none without a size.
 */

import type { Mount } from "./mountinfo.ts";

/** Filesystem types without a size of their own, and why. `df` finds out by asking; there is no need to ask. */
const WITHOUT_SIZE: readonly (readonly [reason: string, types: readonly string[]])[] = [
  ["shows the kernel's own state", ["proc", "sysfs", "configfs", "debugfs", "tracefs", "fusectl", "resctrl"]],
  ["controls resources", ["cgroup", "cgroup2", "cpuset"]],
  ["controls security", ["securityfs", "selinuxfs", "smackfs"]],
  ["names objects that are not files", ["bpf", "mqueue", "nsfs", "devpts", "binfmt_misc", "binder"]],
  ["shows firmware's storage without telling its size", ["pstore"]],
  ["only waits for something else to be mounted there", ["autofs"]],
  ["connects a service with the kernel", ["rpc_pipefs", "nfsd"]],
  ["is memory without limit or account", ["ramfs"]],
  ["is pages set aside for it, which count as memory; without `size=` no number or -1", ["hugetlbfs"]],
];

const TYPES_WITHOUT_SIZE: ReadonlySet<string> = new Set(WITHOUT_SIZE.flatMap(([, types]) => types));

/**
 * The mounts that may be picked: a path leads to them, and their type has a size. The others are most of those that a
 * container has.
 */
export function eligibleMounts(mounts: readonly Mount[]): Mount[] {
  return visibleMounts(mounts).filter(({ fsType }) => !TYPES_WITHOUT_SIZE.has(fsType));
}

/**
 * Picks one mount for each filesystem, in the order of the first visible mount of each. Those whose size then
 * turns out to be 0 are for the caller to leave out, as `df` does.
 *
 * Differences from `df`: what is mounted at a single file (`/etc/hosts`, a `subPath`) does not count, even if
 * the filesystem is mounted nowhere else; a remote filesystem counts once, however many of its directories are
 * mounted, as they all have the same size; huge pages do not count.
 *
 * @param eligible What `eligibleMounts` has of a process's mounts.
 * @param isFile Whether something other than a directory is mounted. Asked only about a mount that would
 * otherwise be picked and that shows a part of its filesystem; all of one cannot be a file. What a mount shows
 * never changes, so an answer holds for as long as its `mountId` stays listed.
 */
export function distinctFilesystems(
  eligible: readonly Mount[],
  isFile: (mount: Mount) => boolean = () => false,
): Mount[] {
  const picked = new Map<string, Mount>();
  for (const mount of eligible) {
    const current = picked.get(mount.device);
    if (current !== undefined && !isPreferred(mount, current)) continue;
    if (mount.root === "/" || !isFile(mount)) picked.set(mount.device, mount);
  }
  return [...picked.values()];
}

/**
 * Of two mounts of one filesystem the later takes the place of the earlier only if it is nearer to `/`, and what
 * it shows is no farther down in the filesystem; or if it alone names a real source.
 */
function isPreferred(later: Mount, earlier: Mount): boolean {
  if (later.source.includes("/") && !earlier.source.includes("/")) return true;
  return later.mountPoint.length < earlier.mountPoint.length && later.root.length <= earlier.root.length;
}

/**
 * The mounts that a path leads to: neither they nor what they are mounted on have another mount on top.
 *
 * A mount at `/a/b` is reached by walking that path through its parent, so it is hidden by another child of
 * that parent at `/a/b`, `/a`, or the parent's own mount point.
 */
function visibleMounts(mounts: readonly Mount[]): Mount[] {
  const byId = new Map<number, Mount>();
  const children = new Map<number, Map<string, Mount>>();
  for (const mount of mounts) {
    byId.set(mount.mountId, mount);
    const siblings = children.get(parentIdOf(mount)) ?? new Map<string, Mount>();
    children.set(parentIdOf(mount), siblings.set(mount.mountPoint, mount));
  }
  const isReached = new Map<Mount, boolean>();

  for (const mount of mounts) {
    // Not by recursion: a container may stack mounts by the ten thousand.
    const chain: Mount[] = [];
    let ancestor: Mount | undefined = mount;
    while (ancestor !== undefined && !isReached.has(ancestor)) {
      chain.push(ancestor);
      // Until known better; it also ends the climb if parents go round in a circle.
      isReached.set(ancestor, false);
      ancestor = byId.get(parentIdOf(ancestor));
    }
    let above = ancestor === undefined || isReached.get(ancestor) === true;
    for (const link of chain.reverse()) {
      const siblings = children.get(parentIdOf(link));
      const from = byId.get(parentIdOf(link))?.mountPoint ?? "/";
      above &&= stepsDown(from, link.mountPoint).every((path) => (siblings?.get(path) ?? link) === link);
      isReached.set(link, above);
    }
  }
  return mounts.filter((mount) => {
    const onTop = children.get(mount.mountId)?.get(mount.mountPoint) ?? mount;
    return isReached.get(mount) && onTop === mount;
  });
}

/** The kernel's own first root, which an initramfs may run on, is its own parent. No mount has the id -1. */
function parentIdOf({ mountId, parentId }: Mount): number {
  return parentId === mountId ? -1 : parentId;
}

/** The paths passed through from one path to another below it, both included: `/a` to `/a/b`: `/a`, `/a/b`. */
function stepsDown(from: string, to: string): string[] {
  const paths = [from];
  for (let slash = to.indexOf("/", from.length + 1); slash > 0; slash = to.indexOf("/", slash + 1)) {
    paths.push(to.slice(0, slash));
  }
  if (to !== from) paths.push(to);
  return paths;
}
