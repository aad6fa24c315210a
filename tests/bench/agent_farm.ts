/**
 * A node full of pods, of two containers each: real cgroups with real processes, which have namespaces and mounts of
 * their own as a runtime gives them; a kubelet that lists them in full size; and all files of a cgroup v2.
 */
import { LabNode } from "../lab/node.ts";
import type { LabPod } from "../lab/pods.ts";
import { Helper } from "./agent_helper.ts";
import { fullPodList } from "./agent_pod_list.ts";
import { isFile, METRIC_FILES, NodeTree } from "./agent_tree.ts";

const CONTAINERS = ["main", "proxy"];
const QOS_CLASSES = ["Burstable", "BestEffort", "Guaranteed"] as const;
const NAMESPACES = 10;

/** A pod and its processes. */
export interface FarmPod {
  readonly pod: LabPod;
  readonly sandboxPid: number;
  /** Of `pod.containers`, in their order. */
  readonly pids: readonly number[];
}

export class Farm implements AsyncDisposable {
  private constructor(
    readonly pods: readonly FarmPod[],
    private readonly node: LabNode,
    private readonly processes: Helper,
    private readonly tree: NodeTree | undefined,
    private readonly cleanup: AsyncDisposableStack,
  ) {}

  /** Makes a node with so many pods. Needs root. */
  static async start(count: number, interrupted: AbortSignal): Promise<Farm> {
    await using cleanup = new AsyncDisposableStack();
    const node = cleanup.use(await LabNode.start({ name: "node" }));
    const directory = `${node.directory}/containers`;
    await Deno.mkdir(directory);
    const processes = cleanup.use(await Helper.start("agent_pods", [directory]));
    const pods: FarmPod[] = [];
    for (let index = 0; index < count; index++) {
      interrupted.throwIfAborted();
      pods.push(await startPod(node, processes, index));
    }
    node.kubelet.answer = { kind: "text", text: fullPodList(pods.map(({ pod }) => pod), node.name) };
    const tree = isWhole(node) ? undefined : cleanup.use(await NodeTree.make(node.root, interrupted));
    const farm = new Farm(pods, node, processes, tree, cleanup.move());
    await farm.work();
    return farm;
  }

  get containers(): number {
    return this.pods.length * CONTAINERS.length;
  }

  /** Settings for an agent of this node, started by `wrapper`. */
  get settings(): Record<string, string> {
    return {
      ...this.node.agentEnvironment(),
      KPOD_CGROUP_ROOT: this.root,
      // One for each container and sandbox, if there may be more of them than there is room for by default.
      ...this.pods.length <= 250 ? {} : { KPOD_BPF_MAX_CGROUPS: String(4 * this.pods.length) },
    };
  }

  /** A command that runs another one, which follows, so that it sees the node's cgroups; it starts in `/`. */
  get wrapper(): readonly string[] {
    return this.tree?.wrapper ?? [];
  }

  /** The directories of the containers' cgroups, for processes started by `wrapper`. */
  get cgroups(): readonly string[] {
    return this.pods.flatMap(({ pod }) =>
      pod.containers.map(({ cgroup = "" }) => cgroup.replace(this.node.root, this.root))
    );
  }

  /** Every container makes each system call that is tracked by default, and uses more of everything. */
  async work(): Promise<void> {
    await Promise.all([this.processes.send("work"), this.tree?.change()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cleanup.disposeAsync();
  }

  private get root(): string {
    return this.tree?.root ?? this.node.root;
  }
}

/** Named as a Deployment's pods are. */
async function startPod(node: LabNode, processes: Helper, index: number): Promise<FarmPod> {
  const pod = await node.addPod({
    name: `service-${index}-7d9f8c6b54-${(index + 46_656).toString(36)}`,
    namespace: `team-${index % NAMESPACES}`,
    qosClass: QOS_CLASSES[index % QOS_CLASSES.length] ?? "Burstable",
    containers: CONTAINERS,
    sandboxProcess: false,
  });
  const lines = [
    `sandbox ${pod.sandboxCgroup}`,
    ...pod.containers.map(({ cgroup }) => `container ${cgroup}`),
    "pod",
  ];
  const { pids: [sandboxPid = 0, ...pids] } = await processes.send<{ pids: number[] }>(lines.join("\n"));
  return { pod, sandboxPid, pids };
}

/** Whether this machine's cgroups have all files themselves. */
function isWhole({ pods: [pod] }: LabNode): boolean {
  return METRIC_FILES.every((name) => isFile(`${pod?.container().cgroup}/${name}`));
}
