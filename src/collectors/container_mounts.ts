/** The mounts that a container's process sees, and what is asked about them. */
import { distinctFilesystems } from "../parse/filesystems.ts";
import { type Mount, parseMountInfo } from "../parse/mountinfo.ts";

/** What is asked about one mount. */
export interface MountProbe {
  readonly mount: Mount;
  /** Its mount point, relative to the process's root. */
  readonly path: string;
  /** What hangs as one: a filesystem as a path leads to it. */
  readonly key: string;
  /**
   * What has one answer. That is the same part of a filesystem: ext4 and xfs directories may have a quota of their own,
   * which statfs then shows (`ext4_statfs_project`, `xfs_qm_statvfs`), btrfs subvolumes share a device.
   */
  readonly part: string;
  /** Whether it, or a mount that the path to it leads through, depends on something that may not answer. */
  readonly isRemote: boolean;
  /** What it shows: all mounts of it that exist at the same time show the same file or directory. */
  readonly shown: string;
}

/** Made of a mountinfo, for as long as that does not change. */
export class ContainerMounts {
  readonly #mounts: readonly Mount[];
  readonly #remote: readonly Mount[];
  readonly #probes = new Map<Mount, MountProbe>();
  #picked: readonly MountProbe[] = [];
  /** What had to be known to pick these: whether each of what mounts show is a file. */
  #isFile: Map<string, boolean> | undefined;

  constructor(mountinfo: string) {
    this.#mounts = parseMountInfo(mountinfo).mounts;
    this.#remote = this.#mounts.filter(isRemote);
  }

  /** One mount for each filesystem, as `df` chooses them; `files` are known to be files, by what a mount shows. */
  pick(files: ReadonlySet<string>): readonly MountProbe[] {
    const known = this.#isFile;
    if (known !== undefined && [...known].every(([shown, isFile]) => files.has(shown) === isFile)) {
      return this.#picked;
    }
    const isFile = this.#isFile = new Map<string, boolean>();
    const picked = distinctFilesystems(this.#mounts, (mount) => {
      const shown = shownBy(mount);
      isFile.set(shown, files.has(shown));
      return files.has(shown);
    });
    return this.#picked = picked.map((mount) => this.#probe(mount));
  }

  /** The files that were passed over when it last picked. */
  get files(): string[] {
    return [...this.#isFile ?? []].filter(([, isFile]) => isFile).map(([shown]) => shown);
  }

  #probe(mount: Mount): MountProbe {
    const known = this.#probes.get(mount);
    if (known !== undefined) return known;
    const through = this.#remote.filter((other) => isAbove(other, mount));
    const key = [...through, mount].map(({ device }) => device).join(" ");
    const probe = {
      mount,
      path: mount.mountPoint.replace(/^\/+/, "") || ".",
      key,
      part: `${key} ${mount.root}`,
      isRemote: through.length > 0 || isRemote(mount),
      shown: shownBy(mount),
    };
    this.#probes.set(mount, probe);
    return probe;
  }
}

/** Whether a filesystem depends on something that may not answer: what `df` calls remote, and FUSE. */
function isRemote({ fsType, source }: Mount): boolean {
  return /^(?:fuse|nfs|cifs|smb|ceph|9p|afs)/.test(fsType) || source.includes(":") || source.startsWith("//");
}

function shownBy({ device, root }: Mount): string {
  return `${device} ${root}`;
}

/** Whether a path to `mount` leads through `other`. */
function isAbove(other: Mount, mount: Mount): boolean {
  return other.mountPoint !== mount.mountPoint &&
    mount.mountPoint.startsWith(other.mountPoint === "/" ? "/" : `${other.mountPoint}/`);
}
