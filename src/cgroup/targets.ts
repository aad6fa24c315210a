/**
 * Which container each cgroup id stands for. The cgroup tree and the kernel's maps say what exists, the kubelet
 * what it is called: a restarted kubelet lists no pods for a while although all of them run on, so a name once
 * learnt holds as long as the cgroup does.
 */
import type { Pod } from "../discovery/pod.ts";
import type { Labels } from "../metrics/family.ts";
import type { ContainerCgroup } from "./hierarchy.ts";

/** A container of a pod: what a series is about. Its restarts are one target; each has a cgroup of its own. */
export interface Target {
  readonly podUid: string;
  readonly labels: Labels;
}

/** What one cycle found. */
export interface Findings {
  /** The pods of the kubelet's last good answer. */
  readonly pods: readonly Pod[];
  /** Good answers so far. */
  readonly generation: number;
  /** Containers whose cgroups exist. */
  readonly live: readonly ContainerCgroup[];
  /** Containers that the kernel's maps hold counts of, whether their cgroups still exist or not. */
  readonly counted: readonly ContainerCgroup[];
  /** Milliseconds of a clock that never goes back. */
  readonly now: number;
}

/** A container's cgroup that exists. */
export interface LiveCgroup {
  readonly id: bigint;
  /** Of its directory, relative to the hierarchy's mount point. */
  readonly path: string;
  readonly podUid: string;
  /** `undefined` for a sandbox, a pod that is filtered out, or while its name is not known. */
  readonly target: Target | undefined;
}

/** A pod that the kubelet has named and that has cgroups. */
export interface LivePod {
  readonly uid: string;
  /** Of series about the pod as a whole: `container` is empty. */
  readonly labels: Labels;
  readonly hostNetwork: boolean;
  readonly cgroups: readonly LiveCgroup[];
}

interface KnownCgroup {
  cgroup: ContainerCgroup;
  /** What was last said of it. */
  said: LiveCgroup | undefined;
  live: boolean;
  counted: boolean;
  target: Target | undefined;
  /** The good answer that was the last when it was first seen. */
  readonly seenAtGeneration: number;
  /** When it was last found to exist, or first heard of if it never was. */
  lastLive: number;
}

interface KnownPod {
  pod: Pod;
  /** Of series about the pod as a whole. */
  readonly labels: Labels;
  /** Whether it gets series at all. */
  included: boolean;
  /** When it was last listed, or had a cgroup. */
  lastSeen: number;
  readonly targets: Map<string, Target>;
  /** The container of every instance seen, by the runtime's id. */
  readonly containers: Map<string, string>;
}

/**
 * A container that this many answers do not list, though they list its pod, is taken to be the pod's sandbox. The
 * kubelet's answers lag behind the runtime by a second or two.
 */
const ANSWERS_TO_TELL_SANDBOX = 3;

/** The targets of this node, from cycle to cycle. */
export class TargetIndex {
  readonly #node: string;
  readonly #graceMs: number;
  readonly #includes: (pod: Pod) => boolean;
  readonly #pods = new Map<string, KnownPod>();
  readonly #cgroups = new Map<bigint, KnownCgroup>();
  /** What is said of all this, the same arrays as long as it is the same, and whether it may be old. */
  #targets: readonly Target[] = [];
  #live: readonly LiveCgroup[] = [];
  #livePods: readonly LivePod[] | undefined;
  #mayBeOld = false;
  /** The answer whose names were last taken. */
  #learnt: readonly Pod[] | undefined;
  #isCurrent = false;
  #generation = 0;
  #now = 0;

  /** Series of a pod that is neither listed nor has a cgroup stay for `graceMs`; only pods that `includes` get any. */
  constructor(node: string, graceMs: number, includes: (pod: Pod) => boolean = () => true) {
    this.#node = node;
    this.#graceMs = graceMs;
    this.#includes = includes;
  }

  /** Takes the names that an answer of the kubelet gives to pods and containers; `now` is as in `Findings`. */
  learn(pods: readonly Pod[], now: number): void {
    this.#livePods = undefined;
    this.#mayBeOld = true;
    this.#learnt = pods;
    for (const pod of pods) {
      const { namespace, name } = pod;
      const known = this.#pods.get(pod.uid) ??
        {
          pod,
          labels: { namespace, pod: name, container: "", node: this.#node },
          included: true,
          lastSeen: now,
          targets: new Map<string, Target>(),
          containers: new Map<string, string>(),
        };
      known.pod = pod;
      known.included = this.#includes(pod);
      known.lastSeen = now;
      for (const container of pod.containers) {
        for (const id of container.ids) known.containers.set(id, container.name);
      }
      this.#pods.set(pod.uid, known);
    }
  }

  update(findings: Findings): void {
    this.#isCurrent = true;
    this.#generation = findings.generation;
    this.#now = findings.now;
    this.#mayBeOld = true;
    if (findings.pods !== this.#learnt) this.learn(findings.pods, findings.now);
    this.#learnCgroups(findings);
    this.#see(findings);
    this.#forgetPods(findings);
    for (const known of this.#cgroups.values()) known.target ??= this.#targetOf(known.cgroup);
    this.#forgetInstances(findings);
  }

  /** The target that a cgroup id counts for; `undefined` for a sandbox, or while its name is not known. */
  resolve(id: bigint): Target | undefined {
    return this.#cgroups.get(id)?.target;
  }

  /** Whether the cgroup exists. */
  isLive(id: bigint): boolean {
    return this.#cgroups.get(id)?.live ?? false;
  }

  /**
   * Whether the counts of an ended cgroup need not be kept in the kernel: they have a target to be added to, or
   * the kubelet has had its time to name one.
   */
  mayForget(id: bigint): boolean {
    const known = this.#cgroups.get(id);
    // One that is in neither findings is gone, and its names were not written down for want of room.
    if (known === undefined) return this.#isCurrent;
    return known.target !== undefined || this.#now - known.lastLive > this.#graceMs;
  }

  /** A cycle could not find out what exists: until the next update unknown cgroups are not taken to be gone. */
  keepUnknown(): void {
    this.#isCurrent = false;
  }

  /** Every target that has or had a cgroup, until its pod's grace is over. */
  targets(): readonly Target[] {
    this.#renew();
    return this.#targets;
  }

  /** The containers' cgroups that exist, sandboxes included. */
  live(): readonly LiveCgroup[] {
    this.#renew();
    return this.#live;
  }

  /** The pods that have series of their own: those with a cgroup, but for the ones filtered out. */
  livePods(): readonly LivePod[] {
    return this.#livePods ??= [...Map.groupBy(this.live(), ({ podUid }) => podUid)].flatMap(
      ([uid, cgroups]) => {
        const known = this.#pods.get(uid);
        if (known === undefined || !known.included || known.targets.size === 0) return [];
        return [{ uid, labels: known.labels, hostNetwork: known.pod.hostNetwork, cgroups }];
      },
    );
  }

  #renew(): void {
    if (!this.#mayBeOld) return;
    this.#mayBeOld = false;
    const targets = [...this.#pods.values()].flatMap((known) => [...known.targets.values()]);
    const live = [...this.#cgroups.values()].filter(({ live }) => live).map(saidOf);
    if (!areSame(targets, this.#targets)) this.#targets = targets;
    if (areSame(live, this.#live)) return;
    this.#live = live;
    this.#livePods = undefined;
  }

  /** Cgroups of pods that the kubelet has not named. */
  get unattributed(): number {
    return [...this.#cgroups.values()].filter(({ cgroup }) => !this.#pods.has(cgroup.podUid)).length;
  }

  /** Whether another answer of the kubelet may name a cgroup that has no name yet. */
  get wantsPoll(): boolean {
    return [...this.#cgroups.values()].some(({ cgroup, target, seenAtGeneration }) => {
      if (target !== undefined) return false;
      const pod = this.#pods.get(cgroup.podUid);
      if (pod === undefined) return true;
      return pod.included && this.#generation - seenAtGeneration < ANSWERS_TO_TELL_SANDBOX;
    });
  }

  #learnCgroups({ live, counted, generation, now }: Findings): void {
    const learn = (cgroup: ContainerCgroup) => {
      const known = this.#cgroups.get(cgroup.id) ??
        {
          cgroup,
          said: undefined,
          live: false,
          counted: false,
          target: undefined,
          seenAtGeneration: generation,
          lastLive: now,
        };
      this.#cgroups.set(cgroup.id, known);
      return known;
    };
    for (const known of this.#cgroups.values()) known.live = known.counted = false;
    for (const cgroup of live) {
      const known = learn(cgroup);
      known.cgroup = cgroup;
      known.live = true;
      known.lastLive = now;
    }
    for (const cgroup of counted) learn(cgroup).counted = true;
    for (const [id, known] of this.#cgroups) {
      if (!known.live && !known.counted) this.#cgroups.delete(id);
    }
  }

  /** Notes which pods there are. */
  #see({ pods, now }: Findings): void {
    const see = (uid: string) => {
      const known = this.#pods.get(uid);
      if (known !== undefined) known.lastSeen = now;
    };
    for (const { uid } of pods) see(uid);
    for (const { cgroup, live } of this.#cgroups.values()) if (live) see(cgroup.podUid);
  }

  #forgetPods({ pods, now }: Findings): void {
    const listed = new Set(pods.map((pod) => pod.uid));
    const holders = new Map<string, string>();
    // In the order in which they were first listed: where two of one name are, the later is the other's successor.
    for (const [uid, { pod }] of this.#pods) {
      if (listed.has(uid)) holders.set(`${pod.namespace}/${pod.name}`, uid);
    }
    const unreported = new Set<string>();
    for (const [uid, { pod, included, lastSeen, targets, containers }] of this.#pods) {
      // A StatefulSet's pod comes back under the same name: the series are the new one's from then on.
      const holder = holders.get(`${pod.namespace}/${pod.name}`) ?? uid;
      const isOver = now - lastSeen > this.#graceMs;
      if (!isOver && holder === uid && included) continue;
      targets.clear();
      containers.clear();
      unreported.add(uid);
      if (isOver) this.#pods.delete(uid);
    }
    // Their cgroups may live on for half a minute; they are not unknown, just not reported.
    for (const each of this.#cgroups.values()) {
      if (unreported.has(each.cgroup.podUid)) each.target = undefined;
    }
  }

  /** A container that crashes for months has thousands of instances: those of the last answer are enough. */
  #forgetInstances({ pods }: Findings): void {
    for (const pod of pods) {
      const known = this.#pods.get(pod.uid);
      const listed = new Set(pod.containers.flatMap((container) => container.ids));
      for (const id of known?.containers.keys() ?? []) {
        if (!listed.has(id)) known?.containers.delete(id);
      }
    }
  }

  #targetOf({ podUid, containerId }: ContainerCgroup): Target | undefined {
    const known = this.#pods.get(podUid);
    const container = known?.containers.get(containerId);
    if (known === undefined || container === undefined || !known.included) return undefined;
    const { namespace, name } = known.pod;
    const target = known.targets.get(container) ??
      { podUid, labels: { namespace, pod: name, container, node: this.#node } };
    known.targets.set(container, target);
    return target;
  }
}

function areSame<T>(one: readonly T[], other: readonly T[]): boolean {
  return one.length === other.length && one.every((each, index) => each === other[index]);
}

/** What is said of a live cgroup: the same object until that changes. */
function saidOf(known: KnownCgroup): LiveCgroup {
  const { cgroup: { id, podUid, path = "" }, target, said } = known;
  if (said !== undefined && said.path === path && said.target === target) return said;
  return known.said = { id, path, podUid, target };
}
