/**
 * What a cgroup directory is, told from its name alone. A name is only half of the evidence: a container may
 * make cgroups of its own with any name (systemd or Docker inside a container), so each function here is to be
 * asked about one place in the tree only, which its comment names.
 *
 * ```text
 * systemd driver   kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope
 * cgroupfs driver  kubepods/burstable/pod<uid>/<id>
 * ```
 *
 * A guaranteed pod lies directly below the root. The kubelet joins its cgroup name parts with `-` and replaces
 * `-` within a part by `_` for systemd (`CgroupName.ToSystemd` in kubernetes pkg/kubelet/cm); a part itself
 * never contains `_`, so that can be reversed. `--cgroup-root=/kubelet` puts `kubelet-` before every slice.
 */

/** `kubepods` after the parts of a `--cgroup-root`, as the systemd driver writes it. */
const SYSTEMD_ROOT = "(?:[^-]+-)*kubepods";

const ROOT = new RegExp(`^(?:kubepods|${SYSTEMD_ROOT}\\.slice)$`);
const QOS = new RegExp(`^(?:(burstable|besteffort)|${SYSTEMD_ROOT}-(burstable|besteffort)\\.slice)$`);

/** The slice's own prefix proves what it is, so any uid will do: a static pod's manifest may set its own. */
const SYSTEMD_POD = new RegExp(`^${SYSTEMD_ROOT}(?:-burstable|-besteffort)?-pod([0-9A-Za-z_]+)\\.slice$`);

/** Without that prefix only a UUID, or the 32 digits of a static pod's hash, tells a pod from a `podman`. */
const CGROUPFS_POD = /^pod([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32})$/;

/**
 * containerd (`cri-containerd-`), CRI-O (`crio-`, without `.scope` under cgroupfs), cri-dockerd (`docker-`) and
 * Podman's (`libpod-`) each put their prefix before the id under systemd; under cgroupfs most use the bare id.
 * All of them draw 64 hexadecimal digits; other CRI runtimes have been seen to draw 32. Nothing else may stand
 * between prefix and id, which leaves out helpers such as `crio-conmon-<id>.scope`.
 */
const CONTAINER = /^(?:(?:cri-containerd|crio|docker|libpod)-([0-9a-f]{32,})(?:\.scope)?|([0-9a-f]{32,}))$/;

/** Whether this directory, anywhere above pods, is the one below which the kubelet keeps all pods. */
export function isKubepodsRoot(directory: string): boolean {
  return ROOT.test(directory);
}

/** The QoS class of a child of the kubepods root, or `undefined` where it is no QoS level. */
export function qosOf(directory: string): "burstable" | "besteffort" | undefined {
  const match = QOS.exec(directory);
  return (match?.[1] ?? match?.[2]) as "burstable" | "besteffort" | undefined;
}

/**
 * The pod uid of a child of the kubepods root or of a QoS level, or `undefined` where it is no pod's.
 * A static pod's uid is the 32-digit hash of its manifest, without dashes, unless the manifest sets one.
 */
export function podUidOf(directory: string): string | undefined {
  const match = SYSTEMD_POD.exec(directory);
  return match ? match[1]?.replaceAll("_", "-") : CGROUPFS_POD.exec(directory)?.[1];
}

/**
 * The container id of a child of a pod's directory, or `undefined` where it is no container's. A pod's sandbox
 * (the pause container) has an id of the same form and is told apart only by its absence from the kubelet's list.
 */
export function containerIdOf(directory: string): string | undefined {
  const match = CONTAINER.exec(directory);
  return match?.[1] ?? match?.[2];
}
