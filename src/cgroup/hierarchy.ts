/** Finds the cgroup v2 hierarchy, the kubepods root in it, and the containers below that. */
import { basename, join } from "node:path";
import { NativeError } from "../native/error.ts";
import { type Directory, HostRoot } from "../native/host_files.ts";
import { containerIdOf, isKubepodsRoot, podUidOf, qosOf } from "./path.ts";

/** The cgroup below which the kubelet keeps all pods. */
export interface KubepodsRoot {
  /** Its cgroup id. */
  readonly id: bigint;
  /** Path relative to the hierarchy's mount point. */
  readonly path: string;
}

/** A container's cgroup, by what its directory and its pod's are called. */
export interface ContainerCgroup {
  readonly id: bigint;
  readonly podUid: string;
  readonly containerId: string;
  /** Of its directory, relative to the hierarchy's mount point; unknown for one that only the kernel's maps tell of. */
  readonly path?: string;
}

const CGROUP2_SUPER_MAGIC = 0x63677270;

/** A kubelet's `--cgroup-root` and a node inside a container (kind) put kubepods this deep at most. */
const SEARCH_DEPTH = 6;

/**
 * Opens the cgroup v2 mount at `path`, or at `path`/unified where v1 controllers are mounted beside it.
 *
 * @throws {Error} saying what was found instead and what to set.
 */
export function openHierarchy(path: string): HostRoot {
  const problems: string[] = [];
  for (const candidate of [path, join(path, "unified")]) {
    try {
      const root = HostRoot.open(candidate);
      if (isCgroup2(root) || hasControllers(root)) return root;
      root.close();
      problems.push(`${candidate} is no cgroup2 filesystem`);
    } catch (error) {
      if (!(error instanceof NativeError)) throw error;
      problems.push(`${candidate}: ${error.code}`);
    }
  }
  throw new Error(
    `Cannot find cgroup v2: ${
      problems.join("; ")
    }; set KPOD_CGROUP_ROOT to where the host's /sys/fs/cgroup is`,
  );
}

function isCgroup2(root: HostRoot): boolean {
  return root.filesystemType() === CGROUP2_SUPER_MAGIC;
}

/** Whether it looks like a cgroup2 root although it is another filesystem: the files of a node, kept elsewhere. */
function hasControllers(root: HostRoot): boolean {
  try {
    root.readFile("cgroup.controllers");
    return true;
  } catch {
    return false;
  }
}

/** The kubepods root, the one nearest the top where there are several; `undefined` while there is none. */
export function findKubepods(hierarchy: HostRoot): KubepodsRoot | undefined {
  const found = hierarchy.walk(".", SEARCH_DEPTH)
    .filter((directory) => isKubepodsRoot(basename(directory.path)))
    .sort((one, other) => one.depth - other.depth)[0];
  return found && { id: found.id, path: found.path };
}

/**
 * The containers' cgroups below the kubepods root; `undefined` when the root is gone or is another one now.
 * Cgroups inside a container are not listed: they count as the container.
 */
export function listContainers(
  hierarchy: HostRoot,
  kubepods: KubepodsRoot,
): readonly ContainerCgroup[] | undefined {
  let directories;
  try {
    directories = hierarchy.walk(kubepods.path, 3);
  } catch (error) {
    if (error instanceof NativeError && error.code === "ENOENT") return undefined;
    throw error;
  }
  if (directories[0]?.id !== kubepods.id) return undefined;
  const known = listed.get(directories) ?? containersAmong(directories, kubepods);
  listed.set(directories, known);
  return known;
}

/** The containers of directories that were listed: mostly nothing changes from one cycle to the next. */
const listed = new WeakMap<readonly Directory[], readonly ContainerCgroup[]>();

function containersAmong(directories: readonly Directory[], kubepods: KubepodsRoot): ContainerCgroup[] {
  return directories.flatMap(({ id, path }) => {
    const names = path.slice(kubepods.path.length + 1).split("/");
    const [pod = "", container = "", ...more] = qosOf(names[0] ?? "") === undefined ? names : names.slice(1);
    const named = more.length === 0 ? containerNamed(id, pod, container) : undefined;
    return named === undefined ? [] : [{ ...named, path }];
  });
}

/** The containers' cgroups from cycle to cycle, whatever becomes of the mount and of the kubepods root. */
export class PodTree implements Disposable {
  readonly #path: string;
  #hierarchy: HostRoot | undefined;
  #kubepods: KubepodsRoot | undefined;
  /** Whether the hierarchy could not be read, and may be another one by now. */
  #isDoubtful = false;

  /** `path` as for `openHierarchy`; it need not be there yet. */
  constructor(path: string) {
    this.#path = path;
  }

  /** The hierarchy as it was when containers were last listed; `undefined` if there never was one. */
  get hierarchy(): HostRoot | undefined {
    return this.#hierarchy;
  }

  /** The kubepods root when containers were last listed; `undefined` if there was none. */
  get kubepods(): KubepodsRoot | undefined {
    return this.#kubepods;
  }

  /**
   * The containers' cgroups that exist now.
   *
   * @throws {Error} if there is no cgroup v2 hierarchy or it cannot be read; the next call begins anew, and until one
   * succeeds the hierarchy of before stays open.
   */
  containers(): readonly ContainerCgroup[] {
    try {
      return this.#listAgain() ?? this.#listAnew();
    } catch (error) {
      this.#isDoubtful = true;
      throw error;
    }
  }

  #listAgain(): readonly ContainerCgroup[] | undefined {
    if (this.#isDoubtful || this.#hierarchy === undefined || this.#kubepods === undefined) return undefined;
    return listContainers(this.#hierarchy, this.#kubepods);
  }

  /** What is mounted there now may be another hierarchy than the one that was opened. */
  #listAnew(): readonly ContainerCgroup[] {
    const hierarchy = openHierarchy(this.#path);
    this.close();
    this.#hierarchy = hierarchy;
    this.#kubepods = findKubepods(hierarchy);
    const live = this.#kubepods && listContainers(hierarchy, this.#kubepods) || [];
    this.#isDoubtful = false;
    return live;
  }

  close(): void {
    this.#hierarchy?.close();
    this.#hierarchy = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The container of a cgroup whose directory is `container` in `pod`; `undefined` where these are no such names. */
export function containerNamed(id: bigint, pod: string, container: string): ContainerCgroup | undefined {
  const podUid = podUidOf(pod);
  const containerId = containerIdOf(container);
  return podUid === undefined || containerId === undefined ? undefined : { id, podUid, containerId };
}

/** The cgroups in the kernel's map of names, and those of them that are containers. */
export interface Names {
  readonly ids: readonly bigint[];
  readonly containers: readonly ContainerCgroup[];
}

/** What entries of the kernel's map of names say. */
export function namesAmong(entries: readonly { readonly key: unknown; readonly value: unknown }[]): Names {
  const named = entries.map(({ key, value }) => ({
    id: BigInt(key as number),
    ...value as { readonly pod: string; readonly container: string },
  }));
  return {
    ids: named.map(({ id }) => id),
    containers: named.flatMap(({ id, pod, container }) => containerNamed(id, pod, container) ?? []),
  };
}
