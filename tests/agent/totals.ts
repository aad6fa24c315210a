/** Containers that say themselves what they did. */
import type { LabNode } from "../lab/node.ts";
import type { LabContainer, LabPod } from "../lab/pods.ts";
import type { SyscallCounts, Transfer } from "../lab/workload.ts";
import type { AgentProcess, Scrape } from "./agent.ts";
import { counted, type Counts, labelsOf, plus } from "./load.ts";
import { finish } from "./pod_changes.ts";

/** What each container has done, by its own account, and whether a scrape says the same. */
export class Totals {
  /** Bytes and connections of all containers. */
  sent = 0;
  connections = 0;
  readonly #counts = new Map<LabContainer, Counts>();

  constructor(private readonly node: LabNode, private readonly port: number) {}

  /** Two processes do some work in a container, and end. */
  async work(container: LabContainer): Promise<void> {
    const times = 20 + Math.floor(Math.random() * 80);
    await using calls = await this.node.run(container, ["syscalls"]);
    await using client = await this.node.run(container, ["tcp-client", "127.0.0.1", String(this.port)]);
    const [{ read, write, openat }, { sent, received }] = await Promise.all([
      calls.go<SyscallCounts>(times),
      client.send<Transfer>(`rr ${times} 500`),
    ]);
    this.sent += sent;
    this.connections++;
    const done = {
      sent,
      received,
      active: 1,
      reads: read.count,
      writes: write.count,
      failedOpens: openat.errors,
    };
    this.#counts.set(container, plus(this.#counts.get(container) ?? plus(), { ...plus(), ...done }));
  }

  forget(container: LabContainer): void {
    this.#counts.delete(container);
  }

  /** True where a scrape has just these counts, of these containers or all, else the first that differ. */
  missing(scrape: Scrape, containers: Iterable<LabContainer> = this.#counts.keys()): true | string {
    for (const container of containers) {
      const done = this.#counts.get(container) ?? plus();
      const found = counted(scrape, labelsOf(container));
      if (text(found) !== text(done)) {
        return `${container.pod.spec.name}/${container.name}: ${text(found)} instead of ${text(done)}`;
      }
    }
    return true;
  }
}

/** A pod of two containers that work one after the other; its cgroups are gone then, and it is still listed. */
export async function liveShortly(node: LabNode, name: string, totals: Totals): Promise<LabPod> {
  const pod = await node.addPod({ name, containers: [{ name: "init", kind: "init" }, "main"] });
  for (const container of pod.containers) {
    await totals.work(container);
    await node.stopContainer(container, { exitCode: 0, reason: "Completed" });
  }
  await finish(node, pod);
  return pod;
}

/** Descriptors that an agent holds. */
export function countDescriptors({ pid }: AgentProcess): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}

function text(value: unknown): string {
  return JSON.stringify(value);
}
