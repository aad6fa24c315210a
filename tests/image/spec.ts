/**
 * What a node's container runtime would be told of a container of the DaemonSet, in the form of the OCI runtime
 * specification.
 */
import type { IContainer } from "kubernetes-models/v1/Container";
import type { ImageConfig } from "./image.ts";
import { seccompOf } from "./seccomp.ts";

export type ContainerSpec = ReturnType<typeof specOf>;

/** Where on this machine the volumes of a pod are. */
export type Volumes = Readonly<Record<string, string>>;

/** As containerd has them (`oci/spec.go`, `populateDefaultUnixSpec`), but for terminals and /sys/fs/cgroup. */
const MOUNTS = [
  { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
  {
    destination: "/dev",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
  },
  { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
];
const MASKED = [
  "acpi",
  "asound",
  "kcore",
  "keys",
  "latency_stats",
  "timer_list",
  "timer_stats",
  "sched_debug",
];
const READ_ONLY = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/** `env` is the container's whole environment beside the image's own. */
export function specOf(
  container: IContainer,
  image: ImageConfig["config"],
  env: Readonly<Record<string, string>>,
  volumes: Volumes,
) {
  const security = container.securityContext ?? {};
  const capabilities = (security.capabilities?.add ?? []).map((name) => `CAP_${name}`);
  return {
    ociVersion: "1.0.2",
    process: {
      user: { uid: security.runAsUser ?? 0, gid: security.runAsGroup ?? 0 },
      args: [...container.command ?? image.Entrypoint, ...container.args ?? image.Cmd ?? []],
      env: [...image.Env, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
      cwd: container.workingDir ?? image.WorkingDir,
      // None are ambient or inheritable: Kubernetes has no way to ask for these.
      capabilities: { bounding: capabilities, permitted: capabilities, effective: capabilities },
      noNewPrivileges: security.allowPrivilegeEscalation === false,
    },
    root: { path: "rootfs", readonly: security.readOnlyRootFilesystem === true },
    mounts: [...MOUNTS, ...mountsOf(container, volumes)],
    linux: {
      // That of the network is the machine's, where the lab's kubelet listens.
      namespaces: ["pid", "mount", "ipc", "uts", "cgroup"].map((type) => ({ type })),
      maskedPaths: ["/sys/firmware", ...MASKED.map((name) => `/proc/${name}`)],
      readonlyPaths: READ_ONLY.map((name) => `/proc/${name}`),
      seccomp: seccompOf(capabilities),
    },
  };
}

function mountsOf({ volumeMounts = [] }: IContainer, volumes: Volumes) {
  return volumeMounts.map(({ name, mountPath, readOnly, recursiveReadOnly }) => {
    const source = volumes[name];
    if (source === undefined) {
      throw new Error(`Cannot mount the volume ${name} at ${mountPath}: it is not known here`);
    }
    const options = ["rbind", "rprivate", readOnly ? "ro" : "rw", ...recursiveReadOnly ? ["rro"] : []];
    return { destination: mountPath, type: "bind", source, options };
  });
}
