/** A node as the target index sees it, cycle by cycle, with what must hold after every cycle. */
import assert from "node:assert/strict";
import { type ContainerCgroup, containerNamed } from "../../src/cgroup/hierarchy.ts";
import { type Target, TargetIndex } from "../../src/cgroup/targets.ts";
import type { Container, Pod } from "../../src/discovery/pod.ts";
import { readPodsText } from "../pods.ts";

const FIXTURES = `${import.meta.dirname}/../fixtures/kubelet-1.36`;

/** The pods of a captured answer. */
export function capturedPods(path: string): readonly Pod[] {
  return readPodsText(Deno.readTextFileSync(`${FIXTURES}/${path}`)).pods;
}

/** The containers' cgroups of a captured tree, sandboxes included. */
export function capturedCgroups(driver: "systemd" | "cgroupfs"): ContainerCgroup[] {
  const lines = Deno.readTextFileSync(`${FIXTURES}/${driver}/steady/cgroup-kubepods-inodes.txt`).trim();
  return lines.split("\n").flatMap((line) => {
    const [inode = "", , path = ""] = line.split(" ");
    const [container = "", pod = ""] = path.split("/").reverse();
    return containerNamed(BigInt(inode), pod, container) ?? [];
  });
}

let ids = 1n;

/** A container's cgroup that no capture has. */
export function cgroup(podUid: string, containerId: string): ContainerCgroup {
  return { id: 1_000_000n + ids++, podUid, containerId };
}

/** A pod whose containers are given as name and runtime ids. */
export function pod(
  uid: string,
  name: string,
  containers: Readonly<Record<string, readonly string[]>>,
  kind: Container["kind"] = "container",
): Pod {
  return {
    uid,
    namespace: "default",
    name,
    labels: {},
    hostNetwork: false,
    containers: Object.entries(containers).map(([container, ids]) => ({ name: container, kind, ids })),
  };
}

export const GRACE_MS = 60_000;

/** Findings that go from cycle to cycle, thirty seconds apart unless told otherwise. */
export class NodeStory {
  readonly index = new TargetIndex("node1", GRACE_MS);
  live: readonly ContainerCgroup[] = [];
  counted: readonly ContainerCgroup[] = [];
  now = 1_000_000;
  #pods: readonly Pod[] = [];
  #generation = 0;

  /** The kubelet gives a good answer. */
  answer(pods: readonly Pod[]): this {
    this.#pods = pods;
    this.#generation++;
    return this;
  }

  cycle(seconds = 30): this {
    this.now += seconds * 1000;
    const { live, counted, now } = this;
    this.index.update({ pods: this.#pods, generation: this.#generation, live, counted, now });
    assert.deepEqual(repeated(this.names()), [], "series are there twice");
    for (const { id } of [...live, ...counted]) {
      const target = this.index.resolve(id);
      assert.ok(target === undefined || this.index.targets().includes(target), `${id} counts for no target`);
    }
    return this;
  }

  /** `pod/container` of every target, in order. */
  names(): string[] {
    return this.index.targets().map(nameOf).sort();
  }

  /** `pod/container` that a cgroup counts for. */
  nameOf({ id }: ContainerCgroup): string | undefined {
    const target = this.index.resolve(id);
    return target && nameOf(target);
  }
}

function nameOf({ labels }: Target): string {
  return `${labels.pod}/${labels.container}`;
}

function repeated(names: readonly string[]): string[] {
  return names.filter((name, index) => names.indexOf(name) !== index);
}
