/** A pod of the DaemonSet on a lab node. */
import { dirname } from "node:path";
import type { IContainer } from "kubernetes-models/v1/Container";
import { createCertificates } from "../lab/certificates.ts";
import { findCgroup2Mount } from "../lab/cgroups.ts";
import { LabNode } from "../lab/node.ts";
import type { LabPod } from "../lab/pods.ts";
import { agentOf, certificateCopierOf, daemonSet, environment } from "../manifests/manifests.ts";
import { Container, type Result } from "./container.ts";
import { imageConfig } from "./image.ts";
import { specOf, type Volumes } from "./spec.ts";

export class AgentPod {
  private constructor(
    readonly node: LabNode,
    private readonly pod: LabPod,
    private readonly volumes: Volumes,
  ) {}

  /** The pod with its volumes, and no container yet. */
  static async create(node: LabNode): Promise<AgentPod> {
    const pod = await node.addPod({
      name: "kpod-metrics",
      namespace: "kpod-metrics",
      containers: ["kpod-metrics", "kubelet-certificate"],
    });
    return new AgentPod(node, pod, await makeVolumes(node));
  }

  /** Runs the init container, or one that differs from it, to its end. */
  async copyCertificate(changes: Partial<IContainer> = {}): Promise<Result> {
    const container = { ...certificateCopierOf(daemonSet()), ...changes };
    await using copier = await Container.start(
      this.#spec(container, {}),
      this.#cgroup("kubelet-certificate"),
    );
    return await copier.result();
  }

  /** Starts the agent's container, or one that differs from it. */
  async start(changes: Partial<IContainer> = {}): Promise<Container> {
    const container = { ...agentOf(daemonSet()), ...changes };
    return await Container.start(this.#spec(container, this.#environment()), this.#cgroup("kpod-metrics"));
  }

  /** Runs a container that differs from the agent's to its end. */
  async run(changes: Partial<IContainer>): Promise<Result> {
    await using container = await this.start(changes);
    return await container.result();
  }

  /** What the kernel says of the agent's process, which is the first of its namespace. */
  status(): ReadonlyMap<string, string> {
    const pids = Deno.readTextFileSync(`${this.#cgroup("kpod-metrics")}/cgroup.procs`).trim().split("\n");
    const all = pids.map((pid) =>
      new Map(
        Deno.readTextFileSync(`/proc/${pid}/status`).trim().split("\n")
          .map((line) => line.split(":\t") as [string, string]),
      )
    );
    const found = all.find((status) => /^\d+\t1$/.test(status.get("NSpid") ?? ""));
    if (found === undefined) throw new Error(`Cannot find the agent among the processes ${pids}`);
    return found;
  }

  /** That of the manifests, but for what a lab node has elsewhere. */
  #environment(): Record<string, string> {
    const { KPOD_CGROUP_ROOT = "", ...settings } = environment(undefined, undefined, {
      name: this.node.name,
      ip: "127.0.0.1",
    });
    return {
      ...settings,
      KPOD_CGROUP_ROOT: KPOD_CGROUP_ROOT + this.node.root.slice(findCgroup2Mount().length),
      KPOD_KUBELET_URL: this.node.kubelet.url,
      KPOD_LISTEN_ADDRESS: "127.0.0.1:0",
    };
  }

  #spec(container: IContainer, env: Record<string, string>) {
    return specOf(container, imageConfig().config, env, this.volumes);
  }

  #cgroup(name: string): string {
    const { cgroup } = this.pod.container(name);
    if (cgroup === undefined) throw new Error(`Cannot start ${name}: its cgroup is gone`);
    return cgroup;
  }
}

/** The cluster's authority has not signed the kubelet's certificate, as is usual. */
async function makeVolumes({ directory, kubelet }: LabNode): Promise<Volumes> {
  const write = async (path: string, text: string, mode: number) => {
    await Deno.mkdir(dirname(`${directory}/${path}`), { recursive: true });
    await Deno.writeTextFile(`${directory}/${path}`, text);
    await Deno.chmod(`${directory}/${path}`, mode);
  };
  const texts = async (...names: string[]) =>
    (await Promise.all(names.map((name) => Deno.readTextFile(`${directory}/${name}`)))).join("");
  await Deno.chmod(directory, 0o755);
  await Deno.mkdir(`${directory}/cluster`);
  const cluster = await createCertificates(`${directory}/cluster`, "cluster");
  await write("service-account/ca.crt", cluster.ca, 0o644);
  await write("service-account/token", kubelet.token, 0o644);
  await write("kubelet-pki/kubelet.crt", await texts("kubelet.crt", "ca.crt"), 0o644);
  await write("kubelet-pki/kubelet.key", "for nobody but the kubelet\n", 0o600);
  await Deno.mkdir(`${directory}/kubelet-certificate`);
  await Deno.chmod(`${directory}/kubelet-certificate`, 0o777);
  const own = ["service-account", "kubelet-pki", "kubelet-certificate"];
  return {
    proc: "/proc",
    cgroup: "/sys/fs/cgroup",
    ...Object.fromEntries(own.map((name) => [name, `${directory}/${name}`])),
  };
}
