/**
 * The lab node: a stand-in kubelet whose pods are real cgroups, named just as a kubelet names them, with real
 * processes in them. It needs root, cgroup v2 and the built workload; it leaves nothing behind.
 */
import { basename, dirname, join, relative } from "node:path";
import { type Certificates, createCertificates } from "./certificates.ts";
import {
  type CgroupDriver,
  CgroupTree,
  containerDirectory,
  type ContainerRuntime,
  findCgroup2Mount,
  findMemoryV1Mount,
  isStale,
  limitMemory,
  podDirectory,
  removeStaleTrees,
} from "./cgroups.ts";
import { Kubelet } from "./kubelet.ts";
import { dropTcp, link, networkOf } from "./netns.ts";
import { type Ending, LabContainer, LabPod, newContainerId, podList, type PodSpec } from "./pods.ts";
import { Workload } from "./workload.ts";

export interface LabNodeOptions {
  /** Cgroup directory to make and use, `kpod-lab-<process id>` by name. @default below the v2 mount */
  readonly root?: string;
  /** @default "systemd" */
  readonly driver?: CgroupDriver;
  /** @default "containerd" */
  readonly runtime?: ContainerRuntime;
  /** Node name, and the only name in the kubelet's certificate. @default "lab-node" */
  readonly name?: string;
  /** Made by `openssl` unless given. */
  readonly certificates?: Certificates;
}

export interface RunOptions {
  /** A cgroup below the container's own, such as `init.scope`. */
  readonly below?: string;
  /** Whether all threads share one CPU. @default false */
  readonly pin?: boolean;
}

let nodes = 0;

export class LabNode implements AsyncDisposable {
  readonly pods: LabPod[] = [];
  readonly kubelet: Kubelet;
  readonly #workloads = new Set<Workload>();
  #links = 0;

  private constructor(
    readonly name: string,
    /** Directory for files of the lab and its workloads; removed by stop. */
    readonly directory: string,
    readonly driver: CgroupDriver,
    readonly runtime: ContainerRuntime,
    private readonly tree: CgroupTree,
    private readonly memoryTree: CgroupTree | undefined,
    certificates: Certificates,
    private readonly cleanup: AsyncDisposableStack,
  ) {
    const token = crypto.randomUUID();
    this.kubelet = Kubelet.start({
      pods: () => podList(this.pods, name, runtime),
      certificates,
      token,
      forbiddenToken: `${token}-forbidden`,
    });
    Deno.writeTextFileSync(join(directory, "token"), token);
    Deno.writeTextFileSync(join(directory, "ca.crt"), certificates.ca);
    Deno.writeTextFileSync(join(directory, "kubelet.crt"), certificates.certificate);
    cleanup.defer(() => Promise.all([...this.#workloads].map((workload) => workload.kill())).then(() => {}));
    cleanup.use(this.kubelet);
  }

  /** Removes what a killed lab left, and starts a node without pods. */
  static async start(options: LabNodeOptions = {}): Promise<LabNode> {
    const { driver = "systemd", runtime = "containerd", name = "lab-node" } = options;
    const labName = `kpod-lab-${Deno.pid}-${nodes++}`;
    const root = options.root ?? join(findCgroup2Mount(), labName);
    const memory = findMemoryV1Mount();
    for (const mount of [dirname(root), memory]) if (mount !== undefined) await removeStaleTrees(mount);

    await using cleanup = new AsyncDisposableStack();
    const directory = await makeDirectory(labName);
    cleanup.defer(() => Deno.remove(directory, { recursive: true }));
    const certificates = options.certificates ?? await certificatesFor(name, directory);
    const tree = cleanup.use(CgroupTree.create(root));
    const memoryTree = memory && cleanup.use(CgroupTree.create(join(memory, basename(root)))) || undefined;
    return new LabNode(name, directory, driver, runtime, tree, memoryTree, certificates, cleanup.move());
  }

  /** The cgroup directory that stands for a node's cgroup root. */
  get root(): string {
    return this.tree.root;
  }

  /** Settings for an agent that watches this node. */
  agentEnvironment(): Record<string, string> {
    return {
      NODE_NAME: this.name,
      KPOD_KUBELET_URL: this.kubelet.url,
      KPOD_KUBELET_TOKEN_FILE: join(this.directory, "token"),
      KPOD_KUBELET_CA_FILE: join(this.directory, "ca.crt"),
      KPOD_KUBELET_SERVER_NAME: this.name,
      KPOD_CGROUP_ROOT: this.root,
    };
  }

  /** Makes a pod's cgroups and its sandbox, and starts its containers, which are empty until `run`. */
  async addPod(spec: PodSpec): Promise<LabPod> {
    const pod = new LabPod(spec);
    pod.cgroup = this.tree.make(podDirectory(pod.uid, pod.qosClass, this.driver), true);
    pod.sandboxCgroup = this.#makeContainerCgroup(pod, newContainerId());
    if (spec.sandboxProcess !== false || spec.ownNetwork) {
      const network = spec.ownNetwork ? { network: "new" } : {};
      const sandbox = await this.#start(["pause"], { cgroups: [pod.sandboxCgroup], ...network });
      pod.sandboxPid = sandbox.pid;
    }
    for (const container of pod.containers) {
      if (container.spec.waiting === undefined) this.startContainer(container);
    }
    this.pods.push(pod);
    return pod;
  }

  /** Gives a container an id and a cgroup of its own. */
  startContainer(container: LabContainer): void {
    container.id = newContainerId();
    container.cgroup = this.#makeContainerCgroup(container.pod, container.id);
    const limit = container.spec.memoryLimitBytes;
    if (limit !== undefined) container.memoryCgroup = limitMemory(container.cgroup, limit, this.memoryTree);
    container.state = { kind: "running", startedAt: Date.now() };
  }

  /** Kills what runs in a container and removes its cgroup; the kubelet then says how it ended. */
  async stopContainer(container: LabContainer, ending: Ending = { exitCode: 137, reason: "Error" }) {
    const { id, state, cgroup, memoryCgroup } = container;
    if (id === undefined || state.kind !== "running" || cgroup === undefined) return;
    container.state = {
      ...ending,
      kind: "terminated",
      id,
      startedAt: state.startedAt,
      finishedAt: Date.now(),
    };
    container.cgroup = container.memoryCgroup = undefined;
    await this.tree.remove(cgroup);
    if (memoryCgroup !== undefined) await this.memoryTree?.remove(memoryCgroup);
  }

  /** Stops a container and starts it again: a new id, a new cgroup, one restart more. */
  async restartContainer(container: LabContainer, ending?: Ending): Promise<void> {
    await this.stopContainer(container, ending);
    container.lastState = container.state;
    container.restartCount++;
    this.startContainer(container);
  }

  /** Takes a pod out of `/pods` and removes its cgroups. To see them outlive it set `listed` alone. */
  async removePod(pod: LabPod): Promise<void> {
    pod.listed = false;
    for (const container of pod.containers) await this.stopContainer(container);
    await this.tree.remove(pod.cgroup);
    const index = this.pods.indexOf(pod);
    if (index >= 0) this.pods.splice(index, 1);
  }

  /** Starts a workload in a running container, with the pod's network. */
  run(container: LabContainer, args: readonly string[], options: RunOptions = {}): Promise<Workload> {
    const { cgroup, memoryCgroup, pod } = container;
    if (cgroup === undefined) {
      throw new Error(`Cannot run ${args[0]} in ${container.name}: it is not running; start it first`);
    }
    const { below, pin = false } = options;
    const own = below === undefined ? cgroup : this.tree.make(join(relative(this.root, cgroup), below));
    const network = pod.spec.ownNetwork ? { network: networkOf(sandboxOf(pod)) } : {};
    const cgroups = memoryCgroup === undefined ? [own] : [own, memoryCgroup];
    return this.#start(args, { cgroups, pin, ...network });
  }

  /** Links two pods that have networks of their own; returns the address of each. */
  async link(a: LabPod, b: LabPod): Promise<[string, string]> {
    const network = `10.213.${this.#links >> 6}`;
    const first = this.#links++ % 64 * 4;
    const end = (pod: LabPod, host: number) => ({
      pid: sandboxOf(pod),
      name: `eth${pod.addresses.length}`,
      address: `${network}.${first + host}`,
    });
    const ends = [end(a, 1), end(b, 2)] as const;
    await link(...ends);
    a.addresses.push(ends[0].address);
    b.addresses.push(ends[1].address);
    return [ends[0].address, ends[1].address];
  }

  /** Drops a share of the TCP packets that reach a pod with a network of its own. */
  dropTcp(pod: LabPod, percent: number): Promise<void> {
    if (!pod.spec.ownNetwork) {
      throw new Error(`Cannot drop packets of ${pod.spec.name}: its network is the host's`);
    }
    return dropTcp(sandboxOf(pod), percent);
  }

  /** Ends every process and removes cgroups, networks and files. */
  stop(): Promise<void> {
    return this.cleanup.disposeAsync();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #makeContainerCgroup(pod: LabPod, id: string): string {
    const name = containerDirectory(id, this.driver, this.runtime);
    return this.tree.make(join(relative(this.root, pod.cgroup), name));
  }

  async #start(...parameters: Parameters<typeof Workload.start>): Promise<Workload> {
    const workload = await Workload.start(...parameters);
    this.#workloads.add(workload);
    workload.exited.then(() => this.#workloads.delete(workload));
    return workload;
  }
}

function sandboxOf(pod: LabPod): number {
  if (pod.sandboxPid === undefined) {
    throw new Error(`Cannot use the sandbox of ${pod.spec.name}: it has no process`);
  }
  return pod.sandboxPid;
}

/** Made once for each name: it takes three programs, which is long where the processor is emulated. */
const made = new Map<string, Promise<Certificates>>();

function certificatesFor(name: string, directory: string): Promise<Certificates> {
  const certificates = made.get(name) ?? createCertificates(directory, name);
  made.set(name, certificates);
  return certificates;
}

/** In /var/tmp where there is one: it is on a disk, which a workload that makes major faults needs. */
async function makeDirectory(labName: string): Promise<string> {
  const isDirectory = (path: string) => Deno.stat(path).then((info) => info.isDirectory, () => false);
  const parent = await isDirectory("/var/tmp") ? "/var/tmp" : "/tmp";
  for await (const entry of Deno.readDir(parent)) {
    if (isStale(entry.name)) await Deno.remove(join(parent, entry.name), { recursive: true });
  }
  return await Deno.makeTempDir({ dir: parent, prefix: `${labName}-` });
}
