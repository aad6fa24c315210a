/** Filesystems mounted in each container, as `df` there shows them. From PID/mountinfo and statfs beneath PID/root. */
import type { Target, TargetIndex } from "../cgroup/targets.ts";
import type { Logger } from "../log.ts";
import { counter, type Descriptor, gauge, POD_LABELS } from "../metrics/descriptor.ts";
import type { Family, Labels } from "../metrics/family.ts";
import { hasCapability, ownStatus } from "../native/capabilities.ts";
import { NativeError } from "../native/error.ts";
import { type FilesystemSize, HostRoot } from "../native/host_files.ts";
import { distinctFilesystems } from "../parse/filesystems.ts";
import { type Mount, parseMountInfo } from "../parse/mountinfo.ts";
import type { Collector, Cycle } from "./collector.ts";
import { FilesystemSizes, isRemote, type Limits, type Question } from "./filesystem_sizes.ts";
import { EVENTS_FILE, type Processes } from "./processes.ts";

/** What this collector works with in one cycle. */
export interface FilesystemCycle extends Pick<Cycle, "files"> {
  readonly targets: Pick<TargetIndex, "live">;
}

/** What it needs of a directory. */
export type Root = Pick<HostRoot, "readText" | "statfs" | "close">;

export interface FilesystemOptions extends Limits {
  /** @default HostRoot.open */
  readonly open?: (path: string) => Root;
  /** The /proc/PID/status of this process. @default ownStatus */
  readonly status?: () => string;
}

interface Container {
  readonly labels: Labels;
  readonly root: Root;
  readonly mounts: readonly Mount[];
}

interface Row {
  readonly labels: Labels;
  readonly size: FilesystemSize;
}

const FAMILIES: readonly (readonly [Descriptor<"gauge">, bytes: (size: FilesystemSize) => number])[] = [
  [described("capacity", "Size of the filesystem."), (size) => size.capacityBytes],
  [described("usage", "Bytes of the filesystem in use."), (size) => size.capacityBytes - size.freeBytes],
  [described("available", "Bytes free to an unprivileged user."), (size) => size.availableBytes],
];

const TIMEOUTS = counter("kpod_fs_timeouts_total", "Times that a filesystem was found not to answer.");

/** What this collector serves. */
export const FILESYSTEM: readonly Descriptor[] = [...FAMILIES.map(([descriptor]) => descriptor), TIMEOUTS];

function described(name: string, help: string): Descriptor<"gauge"> {
  return gauge(`kpod_fs_${name}_bytes`, help, ...POD_LABELS, "mountpoint");
}

/** `procRoot` is where the host's procfs is. */
export function filesystemCollector(
  procRoot: string,
  processes: Processes,
  log: Pick<Logger, "info" | "warn">,
  { open = (path) => HostRoot.open(path), status = ownStatus, ...limits }: FilesystemOptions = {},
): Collector & { collect(cycle: FilesystemCycle): Promise<Family[]> } {
  const sizes = new FilesystemSizes(log, limits);
  let files: ReadonlySet<string> = new Set();
  let wasDenied = false;

  /** Opens what can be looked into, until `opened` is disposed of. */
  function openContainers(
    opened: DisposableStack,
    proc: Root,
    cycle: FilesystemCycle,
  ): Container[] {
    const live = cycle.targets.live();
    const containers = new Map<Target, Container>();
    let isDenied = false;
    // While a container's next instance starts, the one before may not be gone yet: the newer counts.
    for (const { id, target } of live.toSorted((one, other) => Number(other.id - one.id))) {
      if (target === undefined || containers.has(target)) continue;
      try {
        const container = processes.look(cycle, id, (pid) => ({
          labels: target.labels,
          mounts: parseMountInfo(proc.readText(`${pid}/mountinfo`)).mounts,
          root: opened.adopt(open(`${procRoot}/${pid}/root`), (root) => root.close()),
        }));
        if (container !== undefined) containers.set(target, container);
      } catch (error) {
        if (!(error instanceof NativeError && ["EACCES", "EPERM"].includes(error.code))) throw error;
        if (!wasDenied && !isDenied) reportDenied(target.labels, error);
        isDenied = true;
      }
    }
    wasDenied = isDenied;
    return [...containers.values()];
  }

  function reportDenied({ namespace, pod, container }: Labels, { message }: NativeError): void {
    const remedy = hasCapability(status(), "SYS_PTRACE")
      ? "CAP_SYS_PTRACE is there, so a security module such as AppArmor forbids it"
      : "grant CAP_SYS_PTRACE";
    log.warn(
      `filesystems of containers are left out: their processes may not be looked at; ${remedy}`,
      { namespace, pod, container, error: message },
    );
  }

  async function measure(
    { labels, root, mounts }: Container,
    ask: (question: Question) => Promise<FilesystemSize | undefined>,
    filesFound: Set<string>,
  ): Promise<Row[]> {
    const found = new Map<Mount, FilesystemSize | undefined>();
    const remote = mounts.filter(isRemote);
    const isFile = (mount: Mount) => {
      const isKnown = files.has(partOf(mount)) || filesFound.has(partOf(mount));
      if (isKnown) filesFound.add(partOf(mount));
      return isKnown;
    };
    for (;;) {
      // A mount that turns out to be a file's makes way for another one of its filesystem.
      const picked = distinctFilesystems(mounts, isFile);
      const unasked = picked.filter((mount) => !found.has(mount));
      if (unasked.length === 0) return picked.flatMap((mount) => rowOf(labels, mount, found.get(mount)));
      await Promise.all(unasked.map(async (mount) => {
        const size = await ask({
          root,
          mount,
          through: remote.filter((other) => isAbove(other, mount)),
          fields: fieldsOf(labels, mount),
        });
        if (size?.isDirectory === false) filesFound.add(partOf(mount));
        found.set(mount, size);
      }));
    }
  }

  async function readRows(cycle: FilesystemCycle): Promise<Row[]> {
    using opened = new DisposableStack();
    const proc = opened.adopt(open(procRoot), (root) => root.close());
    const containers = openContainers(opened, proc, cycle);
    const filesFound = new Set<string>();
    const rows = await sizes.round(
      proc,
      (ask) => Promise.all(containers.map((container) => measure(container, ask, filesFound))),
    );
    files = filesFound;
    return rows.flat();
  }

  return {
    name: "filesystem",
    files: [EVENTS_FILE],
    async collect(cycle: FilesystemCycle): Promise<Family[]> {
      const rows = await readRows(cycle);
      return [
        ...FAMILIES.map(([descriptor, bytes]) => ({
          ...descriptor,
          samples: rows.map(({ labels, size }) => ({ labels, value: bytes(size) })),
        })),
        { ...TIMEOUTS, samples: [{ labels: {}, value: sizes.timeouts }] },
      ];
    },
  };
}

/** What a mount shows: all mounts of it that exist at the same time show the same file or directory. */
function partOf({ device, root }: Mount): string {
  return `${device} ${root}`;
}

/** Whether a path to `mount` leads through `other`. */
function isAbove(other: Mount, mount: Mount): boolean {
  return other.mountPoint !== mount.mountPoint &&
    mount.mountPoint.startsWith(other.mountPoint === "/" ? "/" : `${other.mountPoint}/`);
}

function fieldsOf({ namespace, pod, container }: Labels, { mountPoint, fsType }: Mount) {
  return { namespace, pod, container, mountpoint: mountPoint, type: fsType };
}

/** As `df`, nothing for a filesystem without a size. */
function rowOf(labels: Labels, { mountPoint }: Mount, size: FilesystemSize | undefined): Row[] {
  if (size === undefined || size.capacityBytes === 0) return [];
  return [{ labels: { ...labels, mountpoint: mountPoint }, size }];
}
