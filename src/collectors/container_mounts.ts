/** The mounts that a container's process sees, and what is asked about them. */
import type { Labels } from "../metrics/family.ts";
import { withLabel } from "../metrics/labels.ts";
import type { SizeQuestion } from "../native/statfs.ts";
import { distinctFilesystems, eligibleMounts } from "../parse/filesystems.ts";
import { type Mount, parseMountInfo } from "../parse/mountinfo.ts";

/** What is asked about one mount. Its key is what hangs as one: a filesystem as a path leads to it. */
export interface Question extends SizeQuestion {
  readonly mount: Mount;
  /**
   * What has one answer. That is the same part of a filesystem: ext4 and xfs directories may have a quota of their own,
   * which statfs then shows (`ext4_statfs_project`, `xfs_qm_statvfs`), btrfs subvolumes share a device.
   */
  readonly part: string;
  /** Whether it, or a mount that the path to it leads through, depends on something that may not answer. */
  readonly isRemote: boolean;
  /** What the mount shows: all mounts of it that exist at the same time show the same file or directory. */
  readonly shown: string;
  /** The container's. */
  readonly container: Labels;
  /** Of the series about it. */
  readonly labels: Labels;
}

/**
 * Of a container with more filesystems only the first are looked at. Nodes have some hundreds, of which a privileged
 * container may see all; whoever may mount can make ten thousand, and each has to be asked.
 */
export const MOST_FILESYSTEMS = 1000;

/** Made of a mountinfo, for as long as that does not change. */
export class ContainerMounts {
  /** Whether mounts made elsewhere may show here. */
  readonly isPropagated: boolean;
  readonly #eligible: readonly Mount[];
  /** Remote ones by mount point. */
  readonly #remote: ReadonlyMap<string, readonly Mount[]>;
  #questions: readonly Question[] = [];
  #left = 0;
  /** Whose they are, and what had to be known to choose them: whether each of what mounts show is a file. */
  #container: Labels | undefined;
  #isFile = new Map<string, boolean>();

  constructor(mountinfo: string) {
    const { mounts } = parseMountInfo(mountinfo);
    this.#eligible = eligibleMounts(mounts);
    this.#remote = Map.groupBy(mounts.filter(isRemote), ({ mountPoint }) => mountPoint);
    this.isPropagated = mounts.some(({ isPropagated }) => isPropagated);
  }

  /**
   * One for each filesystem, about the mount that `df` chooses; the same objects as long as the answer is the same.
   *
   * @param directory The process's root.
   * @param files What is known to be a file, by what a mount shows.
   */
  questions(container: Labels, directory: string, files: ReadonlySet<string>): readonly Question[] {
    if (container === this.#container && this.#areStill(files)) return this.#questions;
    const before = new Map(this.#questions.map((question) => [question.mount, question]));
    const isFile = this.#isFile = new Map<string, boolean>();
    const picked = distinctFilesystems(this.#eligible, (mount) => {
      const shown = shownBy(mount);
      isFile.set(shown, files.has(shown));
      return files.has(shown);
    });
    this.#left = Math.max(0, picked.length - MOST_FILESYSTEMS);
    this.#questions = picked.slice(0, MOST_FILESYSTEMS).map((mount) => {
      const known = before.get(mount);
      return known?.container === container ? known : this.#question(mount, container, directory);
    });
    this.#container = container;
    return this.#questions;
  }

  /** Filesystems that were too many when it last chose. */
  get left(): number {
    return this.#left;
  }

  /** The files that were passed over when it last chose. */
  get files(): string[] {
    return Array.from(this.#isFile, ([shown, isFile]) => isFile ? [shown] : []).flat();
  }

  #areStill(files: ReadonlySet<string>): boolean {
    for (const [shown, isFile] of this.#isFile) {
      if (files.has(shown) !== isFile) return false;
    }
    return true;
  }

  #question(mount: Mount, container: Labels, directory: string): Question {
    const through = pathsAbove(mount.mountPoint).flatMap((path) => this.#remote.get(path) ?? []);
    const key = [...through, mount].map(({ device }) => device).join(" ");
    return {
      directory,
      path: mount.mountPoint.replace(/^\/+/, "") || ".",
      key,
      mount,
      part: `${key} ${mount.root}`,
      isRemote: through.length > 0 || isRemote(mount),
      shown: shownBy(mount),
      container,
      labels: withLabel(container, "mountpoint", mount.mountPoint),
    };
  }
}

/** Whether a filesystem depends on something that may not answer: what `df` calls remote, and FUSE. */
function isRemote({ fsType, source }: Mount): boolean {
  return /^(?:fuse|nfs|cifs|smb|ceph|9p|afs)/.test(fsType) || source.includes(":") || source.startsWith("//");
}

function shownBy({ device, root }: Mount): string {
  return `${device} ${root}`;
}

/** The directories that a path leads through: of `/a/b/c` `/`, `/a` and `/a/b`. */
function pathsAbove(path: string): string[] {
  const paths = path === "/" ? [] : ["/"];
  for (let slash = path.indexOf("/", 1); slash > 0; slash = path.indexOf("/", slash + 1)) {
    paths.push(path.slice(0, slash));
  }
  return paths;
}
