/** An agent over real cgroups, with a kubelet, a clock and eBPF programs that a test sets. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Agent, type AgentOptions, type LoadedPrograms, type Snapshot } from "../../src/agent.ts";
import type { Collector } from "../../src/collectors/collector.ts";
import type { DiscoveryState } from "../../src/discovery/discovery.ts";
import type { Pod } from "../../src/discovery/pod.ts";
import type { LogFields, Logger } from "../../src/log.ts";
import type { Family } from "../../src/metrics/family.ts";
import { cgroupId, CgroupTree, findCgroup2Mount } from "../lab/cgroups.ts";
import { newContainerId } from "../lab/pods.ts";
import { pod } from "./node_story.ts";

export const POLL_MS = 30_000;
export const KUBELET_POLL_MS = 10_000;
export const UID = "0f8fad5b-d9cb-469f-a165-70867728950e";

const POD_SLICE = `kubepods-pod${UID.replaceAll("-", "_")}.slice`;

/** Only root may make cgroups. */
export const needsRoot = { ignore: Deno.build.os !== "linux" || Deno.uid() !== 0 };

/** A collector with one gauge, which counts its runs. */
export function gauge(name: string, collect?: (run: number) => void): Collector & { runs: number } {
  return {
    name,
    runs: 0,
    collect(): Family[] {
      this.runs++;
      collect?.(this.runs);
      return [{ type: "gauge", name, help: "", samples: [{ labels: {}, value: this.runs }] }];
    },
  };
}

/** For use in expressions. */
export const fail = (message: string): never => {
  throw new Error(message);
};

/** A line of the log. */
export type Line = { level: string; message: string; fields: LogFields | undefined };

let roots = 0;

export class AgentSetup implements AsyncDisposable {
  now = 1_700_000_000_000;
  /** Polls that the agent asked for out of turn. */
  earlyPolls = 0;
  readonly lines: Line[] = [];
  readonly agent: Agent;
  readonly root = join(findCgroup2Mount(), `kpod-lab-${Deno.pid}-agent${roots++}`);
  readonly #discovery: { state: DiscoveryState; pollEarly: () => void };
  #tree: CgroupTree | undefined;

  constructor(options: {
    collectors?: readonly Collector[];
    loadPrograms?: (kubepods: { id: bigint; name: string }) => LoadedPrograms;
    processFamilies?: () => readonly Family[];
    pollIntervalMs?: number;
  } = {}) {
    this.#discovery = {
      state: {
        pods: [],
        lastSuccess: undefined,
        answeredAt: undefined,
        generation: 0,
        errors: new Map(),
        malformed: 0,
      },
      pollEarly: () => void this.earlyPolls++,
    };
    const all: AgentOptions = {
      node: "node1",
      cgroupRoot: this.root,
      pollIntervalMs: options.pollIntervalMs ?? POLL_MS,
      kubeletPollIntervalMs: KUBELET_POLL_MS,
      collectors: options.collectors ?? [],
      loadPrograms: options.loadPrograms,
      build: { version: "0", deno: "0", libbpf: "0", kernel: "0" },
      processFamilies: options.processFamilies ?? (() => []),
      now: () => this.now,
    };
    const log = (level: string) => (message: string, fields?: LogFields) =>
      void this.lines.push({ level, message, fields });
    const logger: Logger = { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
    this.agent = new Agent(all, this.#discovery, logger);
  }

  /** Makes a container of the pod `web`; returns its runtime's id and the cgroup's. */
  addContainer(): { containerId: string; id: bigint; name: string } {
    this.#tree ??= CgroupTree.create(this.root);
    const containerId = newContainerId();
    const name = `cri-containerd-${containerId}.scope`;
    const directory = this.#tree.make(`kubepods.slice/${POD_SLICE}/${name}`);
    return { containerId, id: BigInt(cgroupId(directory)), name };
  }

  /** A value of the map `cgroups`, as the programs write it. */
  names(container: { name: string }): { pod: string; container: string } {
    return { pod: POD_SLICE, container: container.name };
  }

  /** Writes a file of a container's cgroup. */
  write(container: string, file: string, text: string): void {
    Deno.writeTextFileSync(`${this.root}/kubepods.slice/${POD_SLICE}/${container}/${file}`, text);
  }

  async removeContainer({ name }: { name: string }): Promise<void> {
    await this.#tree?.remove(`${this.root}/kubepods.slice/${POD_SLICE}/${name}`);
  }

  async removeKubepods(): Promise<void> {
    await this.#tree?.remove(`${this.root}/kubepods.slice`);
  }

  /** Makes the hierarchy without kubepods in it. */
  mount(): void {
    this.#tree ??= CgroupTree.create(this.root);
  }

  async unmount(): Promise<void> {
    await this.#tree?.removeAll();
    this.#tree = undefined;
  }

  /** The kubelet lists the pod `web` with one container, the present instance first; without ids it lists no pod. */
  answer(...ids: readonly string[]): void {
    const pods: Pod[] = ids.length === 0 ? [] : [pod(UID, "web", { main: ids })];
    const { generation } = this.#discovery.state;
    Object.assign(this.#discovery.state, { pods, generation: generation + 1, answeredAt: this.now });
  }

  /** A snapshot of a new cycle, `seconds` after the last one. */
  cycle(seconds = 30): Promise<Snapshot> {
    this.now += seconds * 1000;
    return this.agent.snapshot();
  }

  /** What of the log is at this level, as `message: reason or error`. */
  logged(level: string): string[] {
    return this.lines.filter((line) => line.level === level)
      .map(({ message, fields }) => `${message}: ${fields?.reason ?? fields?.error ?? ""}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent.stop();
    await this.unmount();
  }
}

/** Value of the only series of a family with these labels; `undefined` where there is none. */
export function valueOf(snapshot: Snapshot, name: string, labels: Record<string, string> = {}) {
  const family = snapshot.families.find((each) => each.name === name);
  const found = (family?.samples ?? []).filter((sample) =>
    Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
  );
  assert.ok(found.length <= 1, `${name} has ${found.length} series`);
  const [sample] = found;
  return sample && "value" in sample ? sample.value : undefined;
}
