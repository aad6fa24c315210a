/** The agent's way from cgroups' files to samples, without the agent. */
import assert from "node:assert/strict";
import { CgroupFiles } from "../../src/cgroup/files.ts";
import { PodTree } from "../../src/cgroup/hierarchy.ts";
import { TargetIndex } from "../../src/cgroup/targets.ts";
import { type CgroupCollector, cgroupCollector } from "../../src/collectors/cgroup_collector.ts";
import { CPU } from "../../src/collectors/cpu.ts";
import { MEMORY } from "../../src/collectors/memory.ts";
import { PIDS } from "../../src/collectors/pids.ts";
import { PRESSURE } from "../../src/collectors/pressure.ts";
import { readPods } from "../pods.ts";
import type { Sample } from "../../src/metrics/family.ts";
import type { LabNode } from "../lab/node.ts";
import { type LabContainer, podList } from "../lab/pods.ts";

export type Values = Readonly<Record<string, number>>;

/** Collectors of cgroups' files over a lab node. */
export class CgroupReader implements Disposable {
  readonly #files: CgroupFiles;
  readonly #index = new TargetIndex("lab", 60_000);
  readonly #tree: PodTree;

  constructor(
    private readonly node: LabNode,
    private readonly collectors: readonly CgroupCollector[] = [CPU, MEMORY, PRESSURE, PIDS].map((each) =>
      cgroupCollector(each)
    ),
  ) {
    this.#files = new CgroupFiles(collectors.flatMap(({ files = [] }) => files));
    this.#tree = new PodTree(node.root);
  }

  /** Lists the cgroups, runs `between`, and reads them; returns the samples of a container by family. */
  async samples(
    container: LabContainer,
    between: () => unknown = () => {},
  ): Promise<ReadonlyMap<string, readonly Sample[]>> {
    const { pods } = readPods(podList(this.node.pods, this.node.name, this.node.runtime));
    const live = this.#tree.containers();
    this.#index.update({ pods, generation: 1, live, counted: [], now: Date.now() });
    assert.ok(this.#tree.hierarchy);
    await between();
    await this.#files.refresh(this.#tree.hierarchy, this.#index.live());
    const families = this.collectors.flatMap((each) =>
      each.collect({ targets: this.#index, files: this.#files })
    );
    return new Map(families.map(({ name, samples }) => [
      name.replace(/^kpod_/, ""),
      samples.filter(({ labels }) => labels.container === container.name),
    ]));
  }

  /** The same, of families with one sample a container. */
  async read(container: LabContainer, between?: () => unknown): Promise<Values> {
    const families = [...await this.samples(container, between)];
    return Object.fromEntries(families.flatMap(([name, samples]) => {
      assert.ok(samples.length <= 1, name);
      return samples.map(({ value }) => [name, value]);
    }));
  }

  [Symbol.dispose](): void {
    this.#files.close();
    this.#tree.close();
  }
}

/** What a file says; nothing where there is none. */
export function textOf(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
