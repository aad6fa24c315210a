/** Files of a real node that the parsers are tested on. */

const FIXTURES = `${import.meta.dirname}/../fixtures/kubelet-1.36`;
const CGROUPS = "systemd/steady/tree/sys/fs/cgroup";

/** The cgroup of a container that writes to a volume. */
export const WRITER =
  `${CGROUPS}/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podcf2917095ebec08ee8b32dcb41dab085.slice` +
  "/cri-containerd-0bf8b2d9010accd63f0f00b70476463fb93294ac57706a42dfdcd309bee3cd92.scope";

/** The cgroup of a container with CPU and memory limits that it meets. It did no block I/O. */
export const LIMITED = `${CGROUPS}/kubepods.slice/kubepods-pod0f8fad5b_d9cb_469f_a165_70867728950e.slice` +
  "/cri-containerd-845a5c80087039709dd16c9ad5011cd325c3552f3152bfdd269f629186f39055.scope";

/** The root cgroup. */
export const ROOT = CGROUPS;

/** A process of the writer, of a privileged container in the host's network, and the writer's under cgroupfs. */
export const PROCESSES = {
  writer: "systemd/steady/proc/2799",
  hostNetwork: "systemd/steady/proc/1881",
  cgroupfsWriter: "cgroupfs/steady/proc/2786",
} as const;

/** The text of a fixture. */
export function kernelFile(directory: string, name: string): string {
  return Deno.readTextFileSync(`${FIXTURES}/${directory}/${name}`);
}
