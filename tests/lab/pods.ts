/** Pods as a kubelet's `/pods` shows them, made from what the lab runs. */
import type { ContainerRuntime, QosClass } from "./cgroups.ts";

/** Resources by name as Kubernetes writes them, such as `{ cpu: "100m", memory: "64Mi" }`. */
export type Resources = Readonly<Record<string, string>>;

export interface Ending {
  readonly exitCode: number;
  /** `Completed`, `Error`, `OOMKilled`. */
  readonly reason: string;
}

/** A container's state, with times in milliseconds since the epoch. */
export type ContainerState =
  | { readonly kind: "running"; readonly startedAt: number }
  | { readonly kind: "waiting"; readonly reason: string }
  | (Ending & {
    readonly kind: "terminated";
    readonly id: string;
    readonly startedAt: number;
    readonly finishedAt: number;
  });

/** What a test says of a container; a name alone is a container that runs. */
export interface ContainerSpec {
  readonly name: string;
  /** A sidecar is an init container that goes on running. @default "main" */
  readonly kind?: "main" | "init" | "sidecar";
  readonly requests?: Resources;
  readonly limits?: Resources;
  /** Makes its processes die when they use more. */
  readonly memoryLimitBytes?: number;
  /** Waits with this reason instead of running. */
  readonly waiting?: string;
}

export class LabContainer {
  /** 64 hexadecimal digits of the running or last container; none before the first. */
  id: string | undefined;
  state: ContainerState;
  lastState: ContainerState | undefined;
  restartCount = 0;
  /** The cgroup directory while it runs, and the v1 memory cgroup where one limits it. */
  cgroup: string | undefined;
  memoryCgroup: string | undefined;

  constructor(readonly pod: LabPod, readonly spec: ContainerSpec) {
    this.state = { kind: "waiting", reason: spec.waiting ?? "ContainerCreating" };
  }

  get name(): string {
    return this.spec.name;
  }
}

/** What a test says of a pod. */
export interface PodSpec {
  readonly name: string;
  /** @default "default" */
  readonly namespace?: string;
  /** A random UUID unless given; a static pod's is 32 digits without dashes. */
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** @default "BestEffort" */
  readonly qosClass?: QosClass;
  /** A network namespace of its own; without one the pod says that it uses the host's. @default false */
  readonly ownNetwork?: boolean;
  /** Whether a process runs in the sandbox's cgroup, as pause does. @default true */
  readonly sandboxProcess?: boolean;
  /** @default ["main"] */
  readonly containers?: readonly (string | ContainerSpec)[];
}

export class LabPod {
  readonly uid: string;
  readonly namespace: string;
  readonly qosClass: QosClass;
  readonly containers: readonly LabContainer[];
  readonly createdAt = Date.now();
  phase: "Pending" | "Running" | "Succeeded" | "Failed" = "Running";
  /** Whether `/pods` shows it: the kubelet forgets a static pod before its cgroups go. */
  listed = true;
  /** When it was told to end, in milliseconds since the epoch. */
  deletedAt: number | undefined;
  /** Directory of the pod and of its sandbox, whose container is in no list. */
  cgroup = "";
  sandboxCgroup = "";
  /** The sandbox process, which holds the network namespace if the pod has one. */
  sandboxPid: number | undefined;
  /** Addresses of its links, `eth0` first. */
  readonly addresses: string[] = [];

  constructor(readonly spec: PodSpec) {
    this.uid = spec.uid ?? crypto.randomUUID();
    this.namespace = spec.namespace ?? "default";
    this.qosClass = spec.qosClass ?? "BestEffort";
    this.containers = (spec.containers ?? ["main"]).map((container) =>
      new LabContainer(this, typeof container === "string" ? { name: container } : container)
    );
  }

  /** Returns a container by name, or the first. */
  container(name = this.containers[0]?.name): LabContainer {
    const found = this.containers.find((container) => container.name === name);
    if (found === undefined) throw new RangeError(`Cannot find the container ${name} in ${this.spec.name}`);
    return found;
  }
}

/** Returns a new container id. */
export function newContainerId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(32)), (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

/** Returns the body of `/pods`: a `v1` PodList of the pods that are listed. */
export function podList(pods: readonly LabPod[], nodeName: string, runtime: ContainerRuntime): unknown {
  return {
    kind: "PodList",
    apiVersion: "v1",
    metadata: {},
    items: pods.filter((pod) => pod.listed).map((pod) => podJson(pod, nodeName, runtime)),
  };
}

function podJson(pod: LabPod, nodeName: string, runtime: ContainerRuntime) {
  const { spec, containers } = pod;
  const main = containers.filter((container) => (container.spec.kind ?? "main") === "main");
  const init = containers.filter((container) => (container.spec.kind ?? "main") !== "main");
  const statuses = (some: LabContainer[]) => some.map((container) => statusJson(container, runtime));
  return {
    metadata: {
      name: spec.name,
      namespace: pod.namespace,
      uid: pod.uid,
      creationTimestamp: time(pod.createdAt),
      ...pod.deletedAt === undefined ? {} : { deletionTimestamp: time(pod.deletedAt) },
      ...spec.labels === undefined ? {} : { labels: spec.labels },
      annotations: { "kubernetes.io/config.source": "api", ...spec.annotations },
    },
    spec: {
      ...init.length === 0 ? {} : { initContainers: init.map(specJson) },
      containers: main.map(specJson),
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 30,
      dnsPolicy: "ClusterFirst",
      nodeName,
      ...spec.ownNetwork ? {} : { hostNetwork: true },
      securityContext: {},
      schedulerName: "default-scheduler",
      enableServiceLinks: true,
    },
    status: {
      phase: pod.phase,
      conditions: [{ type: "PodScheduled", status: "True", lastTransitionTime: time(pod.createdAt) }],
      ...pod.addresses.length === 0
        ? {}
        : { podIP: pod.addresses[0], podIPs: pod.addresses.map((ip) => ({ ip })) },
      startTime: time(pod.createdAt),
      ...init.length === 0 ? {} : { initContainerStatuses: statuses(init) },
      containerStatuses: statuses(main),
      qosClass: pod.qosClass,
    },
  };
}

function specJson({ spec }: LabContainer) {
  return {
    name: spec.name,
    image: "localhost/workload:1",
    ...spec.kind === "sidecar" ? { restartPolicy: "Always" } : {},
    resources: resourcesJson(spec),
    imagePullPolicy: "IfNotPresent",
  };
}

/** A container that waits before its first start has no id; one in CrashLoopBackOff names the dead one. */
function statusJson(container: LabContainer, runtime: ContainerRuntime) {
  const running = container.state.kind === "running";
  return {
    name: container.name,
    state: stateJson(container.state, runtime),
    lastState: container.lastState === undefined ? {} : stateJson(container.lastState, runtime),
    ready: running,
    restartCount: container.restartCount,
    image: "localhost/workload:1",
    imageID: container.id === undefined ? "" : `sha256:${"4f".repeat(32)}`,
    ...container.id === undefined ? {} : { containerID: `${runtime}://${container.id}` },
    started: running,
    resources: resourcesJson(container.spec),
  };
}

function stateJson(state: ContainerState, runtime: ContainerRuntime) {
  switch (state.kind) {
    case "running":
      return { running: { startedAt: time(state.startedAt) } };
    case "waiting":
      return { waiting: { reason: state.reason } };
    case "terminated":
      return {
        terminated: {
          exitCode: state.exitCode,
          reason: state.reason,
          startedAt: time(state.startedAt),
          finishedAt: time(state.finishedAt),
          containerID: `${runtime}://${state.id}`,
        },
      };
  }
}

function resourcesJson({ requests, limits }: ContainerSpec) {
  return { ...requests === undefined ? {} : { requests }, ...limits === undefined ? {} : { limits } };
}

/** Kubernetes times have no fraction of a second. */
function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, "Z");
}
