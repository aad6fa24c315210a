/** What a collector of files is given in one cycle, over a lab node. */
import { relative } from "node:path";
import type { LiveCgroup, LivePod, Target } from "../../src/cgroup/targets.ts";
import { cgroupId } from "../lab/cgroups.ts";
import type { LabNode } from "../lab/node.ts";
import type { LabPod } from "../lab/pods.ts";
import { textOf } from "./cgroup_reader.ts";

/** Every pod of the node, with the targets of its containers, which are the same from cycle to cycle. */
export class LabCycle {
  readonly #node: LabNode;
  readonly #targets = new Map<string, Target>();

  constructor(node: LabNode) {
    this.#node = node;
  }

  /** What there is now. */
  next() {
    const pods = this.#node.pods.map((pod) => this.#livePod(pod));
    const live = pods.flatMap(({ cgroups }) => cgroups);
    return {
      targets: { live: () => live, livePods: () => pods, targets: () => [...this.#targets.values()] },
      files: { textNow: (path: string, name: string) => textOf(`${this.#node.root}/${path}/${name}`) },
    };
  }

  #livePod(pod: LabPod): LivePod {
    const cgroups = [
      this.#live(pod, pod.sandboxCgroup, undefined),
      ...pod.containers.flatMap(({ name, cgroup }) =>
        cgroup === undefined ? [] : this.#live(pod, cgroup, this.#target(pod, name))
      ),
    ];
    return { uid: pod.uid, labels: this.#labels(pod, ""), hostNetwork: !pod.spec.ownNetwork, cgroups };
  }

  #live(pod: LabPod, directory: string, target: Target | undefined): LiveCgroup {
    const id = BigInt(cgroupId(directory));
    return { id, path: relative(this.#node.root, directory), podUid: pod.uid, target };
  }

  #target(pod: LabPod, container: string): Target {
    const key = `${pod.uid}/${container}`;
    const target = this.#targets.get(key) ?? { podUid: pod.uid, labels: this.#labels(pod, container) };
    this.#targets.set(key, target);
    return target;
  }

  #labels(pod: LabPod, container: string) {
    return { namespace: pod.namespace, pod: pod.spec.name, container, node: this.#node.name };
  }
}
