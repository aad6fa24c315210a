/** A node whose kubelet can be stopped and replaced, with one pod and an agent that counts what it does. */
import { type Certificates, createCertificates } from "../lab/certificates.ts";
import { Kubelet } from "../lab/kubelet.ts";
import { LabNode } from "../lab/node.ts";
import { type LabContainer, podList } from "../lab/pods.ts";
import { AgentProcess, freePort, type Labels, SHORT_INTERVALS } from "../agent/agent.ts";
import { assertCounted, type Counts, load, LOAD_SETTINGS, plus } from "../agent/load.ts";

/** The kubelet's name in its certificate. */
export const NAME = "lab-node";

/** An authority for all of them, as making one takes three programs. */
let shared: Promise<Certificates> | undefined;

export class FaultLab implements AsyncDisposable {
  /** What the container has done, by its own account. */
  done: Counts = plus();
  #kubelet: Kubelet | undefined;
  #agent: AgentProcess | undefined;

  private constructor(
    readonly node: LabNode,
    readonly container: LabContainer,
    readonly certificates: Certificates,
    private readonly port: number,
    private readonly settings: Labels,
    private readonly cleanup: AsyncDisposableStack,
  ) {
    cleanup.defer(() => this.stopKubelet());
  }

  /** Starts all of it; the agent is ready, and its container has done some work. */
  static async start(settings: Labels = {}): Promise<FaultLab> {
    await using cleanup = new AsyncDisposableStack();
    const certificates = await (shared ??= makeCertificates(NAME));
    const node = cleanup.use(await LabNode.start({ certificates, name: NAME }));
    const pod = await node.addPod({ name: "web" });
    const lab = new FaultLab(node, pod.container(), certificates, freePort(), settings, cleanup.move());
    try {
      lab.startKubelet();
      await lab.startAgent();
      await lab.agent.untilReady();
      await lab.work();
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  get agent(): AgentProcess {
    if (this.#agent === undefined) throw new Error("Cannot use the agent: it was never started");
    return this.#agent;
  }

  /** Starts an agent; the one of before has to have ended. */
  async startAgent(): Promise<void> {
    this.#agent = this.cleanup.use(
      await AgentProcess.start({
        ...this.node.agentEnvironment(),
        ...LOAD_SETTINGS,
        ...SHORT_INTERVALS,
        // Longer than any poll that goes well takes on a busy machine.
        KPOD_KUBELET_TIMEOUT_MS: "20000",
        KPOD_KUBELET_URL: `https://127.0.0.1:${this.port}`,
        ...this.settings,
      }),
    );
  }

  get kubelet(): Kubelet {
    if (this.#kubelet === undefined) throw new Error("Cannot use the kubelet: it is stopped");
    return this.#kubelet;
  }

  get tokenFile(): string {
    return `${this.node.directory}/token`;
  }

  get caFile(): string {
    return `${this.node.directory}/ca.crt`;
  }

  startKubelet(certificates: Certificates = this.certificates): void {
    const { node, port } = this;
    const pods = () => podList(node.pods, node.name, node.runtime);
    const { token } = node.kubelet;
    this.#kubelet = Kubelet.start({ pods, certificates, token, forbiddenToken: `${token}-forbidden`, port });
  }

  async stopKubelet(): Promise<void> {
    await this.#kubelet?.stop();
    this.#kubelet = undefined;
  }

  /** Stops the kubelet and starts one with other certificates. */
  async replaceKubelet(certificates?: Certificates): Promise<void> {
    await this.stopKubelet();
    this.startKubelet(certificates);
  }

  /** Sets how many files the agent may open, and returns how many that were. */
  async limitFiles(files: number): Promise<number> {
    const { pid } = this.agent;
    const [, before] = /^Max open files\s+(\d+)/m.exec(await Deno.readTextFile(`/proc/${pid}/limits`)) ?? [];
    const args = ["--pid", String(pid), `--nofile=${files}:`];
    const { success, stderr } = await new Deno.Command("prlimit", { args }).output();
    if (!success) throw new Error(`Cannot limit files: got ${new TextDecoder().decode(stderr)}`);
    return Number(before);
  }

  /** Has the container do some of everything. */
  async work(): Promise<void> {
    this.done = plus(this.done, await load(this.node, this.container));
  }

  /** Asserts that a cycle from now on shows all that the container has done, and no more. */
  async assertCounted(): Promise<void> {
    await assertCounted(this.agent, this.container, this.done);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cleanup.disposeAsync();
  }
}

/** An authority of its own, and a certificate for that name. */
export async function makeCertificates(name: string): Promise<Certificates> {
  const directory = await Deno.makeTempDir({ prefix: "kpod-certificates-" });
  try {
    return await createCertificates(directory, name);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Lines of an agent's log, as the agent writes them. */
export interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly message: string;
  readonly reason?: string;
}

/** What an agent has logged; the runtime's own words are left out. */
export function logLines({ log }: AgentProcess): LogLine[] {
  return log.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
}
