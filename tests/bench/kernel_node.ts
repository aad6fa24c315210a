/** A lab node for the kernel-side benchmarks, and the conditions that they compare. */
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { COLLECTOR_ENTRIES } from "../../src/collectors/list.ts";
import { findKubepods } from "../../src/cgroup/hierarchy.ts";
import { type Config, parseConfig } from "../../src/config.ts";
import { HostRoot } from "../../src/native/host_files.ts";
import { type ProgramOptions, Programs } from "../../src/native/programs.ts";
import { PROFILES } from "../../src/profiles.ts";
import { kernelIds } from "../kernel/kernel_ids.ts";
import { LabNode } from "../lab/node.ts";
import type { LabContainer } from "../lab/pods.ts";
import { Workload } from "../lab/workload.ts";
import { BpfStatistics } from "./bpf_statistics.ts";
import type { State } from "./interleave.ts";
import { ProcessClock } from "./process_clock.ts";
import { type Tool, Tracer } from "./tracer.ts";
import { countTracingPrograms } from "./tracing_programs.ts";

export type ProfileName = keyof typeof PROFILES;

/** Where a process of the host is on a node with systemd: one level deeper than kubepods. */
const OUTSIDE = "system.slice/load.service";

/** A node with one pod; all loads are pinned to the same CPU. */
export class KernelNode implements AsyncDisposable {
  /** The most eBPF programs of others that traced the machine while nothing was to be attached. */
  #others = 0;
  /** How often each program was there when nothing was to be attached. The kernel lists what was detached for a while. */
  readonly #seen = new Map<number, number>();

  private constructor(
    private readonly lab: LabNode,
    private readonly container: LabContainer,
    private readonly clock: ProcessClock,
    private readonly statistics: BpfStatistics,
    private readonly cleanup: AsyncDisposableStack,
  ) {}

  /** Starts a node, with the kernel's statistics of eBPF programs on or off as long as it lasts. */
  static async start({ statistics: on }: { readonly statistics: boolean }): Promise<KernelNode> {
    await using cleanup = new AsyncDisposableStack();
    const statistics = cleanup.use(new BpfStatistics(on));
    const clock = cleanup.use(new ProcessClock());
    const lab = cleanup.use(await LabNode.start());
    const pod = await lab.addPod({
      name: "load",
      qosClass: "Burstable",
      containers: ["load"],
      ownNetwork: true,
    });
    return new KernelNode(lab, pod.container("load"), clock, statistics, cleanup.move());
  }

  /** Starts a workload in the pod's container; its network is the pod's own. */
  inPod(...args: readonly string[]): Promise<Workload> {
    return this.lab.run(this.container, args, { pin: true });
  }

  /** Starts a workload outside of kubepods. */
  outside(...args: readonly string[]): Promise<Workload> {
    const cgroup = join(this.lab.root, OUTSIDE);
    Deno.mkdirSync(cgroup, { recursive: true });
    return Workload.start(args, { cgroups: [cgroup], pin: true });
  }

  /**
   * A load: what `units` units of work take of the CPU time of the processes that do it, in nanoseconds each; unlike
   * the time on the clock it is hardly longer where other processes want the CPU as well.
   */
  cpuTime(units: number, work: () => Promise<unknown>, ...workloads: readonly Workload[]) {
    const pids = workloads.map(({ pid }) => pid);
    return async (): Promise<number> => {
      const before = this.clock.read(...pids);
      await work();
      return (this.clock.read(...pids) - before) / units;
    };
  }

  /** The same with what softirqs do for it: by the clock on the wall where they count as no process's CPU time. */
  timeWithSoftirqs(units: number, work: () => Promise<unknown>, ...workloads: readonly Workload[]) {
    if (softirqsCount()) return this.cpuTime(units, work, ...workloads);
    return async (): Promise<number> => {
      const before = performance.now();
      await work();
      return (performance.now() - before) * 1e6 / units;
    };
  }

  /** The condition that nothing is attached. */
  readonly nothing = (): Promise<State> => {
    this.statistics.check();
    for (const id of kernelIds().programs) this.#seen.set(id, (this.#seen.get(id) ?? 0) + 1);
    // Between two times there may have been nothing else, between the first and the third there was.
    const lasting = [...this.#seen].filter(([, times]) => times > 2).map(([id]) => id);
    this.#others = Math.max(this.#others, countTracingPrograms(lasting));
    return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() });
  };

  /** The condition that the agent's programs are, those of a profile's collectors. */
  agent(profile: ProfileName): () => Promise<State> {
    const options = { ...optionsOf(profile), kubepods: kubepodsBelow(this.lab.root) };
    return () => {
      this.statistics.check();
      const programs = attached(options);
      return Promise.resolve({
        pid: Deno.pid,
        [Symbol.asyncDispose]: () => Promise.resolve(programs.close()),
      });
    };
  }

  /** The condition that another tool traces the machine. */
  tool(tool: Tool): () => Promise<State> {
    return () => {
      this.statistics.check();
      return Tracer.start(tool);
    };
  }

  /** What a note says of others' programs; empty where there were none. */
  get disturbance(): string {
    return this.#others === 0 ? "" : `; disturbed by ${this.#others} tracing programs of others`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cleanup.disposeAsync();
  }
}

/** Whether softirqs count as CPU time of the process they interrupt: CONFIG_IRQ_TIME_ACCOUNTING, and its type, are absent. */
function softirqsCount(): boolean {
  const types = new TextDecoder("latin1").decode(Deno.readFileSync("/sys/kernel/btf/vmlinux"));
  return !types.includes("\0irqtime\0");
}

/** Throws where a program cannot be attached: without it the others cost less than the agent. */
function attached(options: ProgramOptions): Programs {
  const programs = new Programs(options);
  const reasons = new Set(programs.states.map(({ reason }) => reason).filter(Boolean));
  if (reasons.size === 0) return programs;
  programs.close();
  throw new Error(`Cannot attach the agent's programs: ${[...reasons].join("; ")}`);
}

function kubepodsBelow(root: string): ProgramOptions["kubepods"] {
  using hierarchy = HostRoot.open(root);
  const kubepods = findKubepods(hierarchy);
  if (kubepods === undefined) throw new Error(`Cannot find kubepods below ${root}: it has no pod`);
  return { id: kubepods.id, name: basename(kubepods.path) };
}

/** What an agent with this profile and nothing else set has the kernel do. */
function optionsOf(profile: ProfileName): Omit<ProgramOptions, "kubepods"> {
  const { collectors, syscalls, bpf } = configOf(profile);
  return {
    directory: bpf.programDirectory,
    signals: COLLECTOR_ENTRIES.filter(({ name }) => (collectors as readonly string[]).includes(name))
      .flatMap(({ signals }) => signals),
    syscalls: syscalls.tracked.map(({ number }) => number),
    maxCgroups: bpf.maxCgroups,
  };
}

function configOf(profile: ProfileName): Config {
  const environment = {
    KPOD_PROFILE: profile,
    NODE_NAME: "bench",
    KPOD_KUBELET_URL: "http://127.0.0.1:10255",
  };
  const programDirectory = fileURLToPath(new URL("../../bpf", import.meta.url));
  return parseConfig(environment, { arch: Deno.build.arch, programDirectory, hostname: "bench" });
}
