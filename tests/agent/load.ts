/** A load that knows what it does, and the same numbers as the agent gives them. */
import assert from "node:assert/strict";
import type { LabNode, RunOptions } from "../lab/node.ts";
import type { LabContainer } from "../lab/pods.ts";
import type { SyscallCounts, Transfer } from "../lab/workload.ts";
import type { AgentProcess, Labels, Scrape } from "./agent.ts";

/** Settings for an agent that counts all of it. */
export const LOAD_SETTINGS = { KPOD_PROFILE: "comprehensive", KPOD_SYSCALL_TRACKED: "read,write,openat" };

/** Counts of one container. */
export interface Counts {
  readonly sent: number;
  readonly received: number;
  readonly active: number;
  readonly passive: number;
  readonly failures: number;
  readonly reads: number;
  readonly writes: number;
  readonly failedOpens: number;
}

const NOTHING: Counts = {
  sent: 0,
  received: 0,
  active: 0,
  passive: 0,
  failures: 0,
  reads: 0,
  writes: 0,
  failedOpens: 0,
};

/** Does some of everything in a container that runs; its processes have ended when this returns. */
export async function load(
  node: LabNode,
  container: LabContainer,
  options: RunOptions = {},
): Promise<Counts> {
  const times = 100 + Math.floor(Math.random() * 100);
  await using server = await node.run(container, ["tcp-server", "127.0.0.1", "0", "--mode", "echo"], options);
  await using client = await node.run(container, ["tcp-client", "127.0.0.1", String(server.port)], options);
  await using refused = await node.run(container, ["tcp-client", "127.0.0.1", "1"], options);
  await using syscalls = await node.run(container, ["syscalls"], options);
  const [transfer, calls, { errno }] = await Promise.all([
    client.send<Transfer>(`rr ${times} 1000`),
    syscalls.go<SyscallCounts>(times),
    refused.send<{ errno: number }>("connect"),
  ]);
  assert.notEqual(errno, 0, "something listens on port 1");
  // The server sends back what it gets, and it is in the same container.
  const bytes = transfer.sent + transfer.received;
  return {
    sent: bytes,
    received: bytes,
    active: 1,
    passive: 1,
    failures: 1,
    reads: calls.read.count,
    writes: calls.write.count,
    failedOpens: calls.openat.errors,
  };
}

export function plus(...all: readonly Counts[]): Counts {
  const keys = Object.keys(NOTHING) as (keyof Counts)[];
  return Object.fromEntries(
    keys.map((key) => [key, all.reduce((sum, counts) => sum + counts[key], 0)]),
  ) as unknown as Counts;
}

/** What the agent has counted for the series with these labels. */
export function counted(scrape: Scrape, labels: Labels): Counts {
  return {
    sent: scrape.sum("kpod_net_tcp_bytes_sent_total", labels),
    received: scrape.sum("kpod_net_tcp_bytes_received_total", labels),
    active: scrape.sum("kpod_net_tcp_connections_total", { ...labels, direction: "active" }),
    passive: scrape.sum("kpod_net_tcp_connections_total", { ...labels, direction: "passive" }),
    failures: scrape.sum("kpod_net_tcp_connect_failures_total", labels),
    reads: scrape.sum("kpod_syscall_count_total", { ...labels, syscall: "read" }),
    writes: scrape.sum("kpod_syscall_count_total", { ...labels, syscall: "write" }),
    failedOpens: scrape.sum("kpod_syscall_errors_total", { ...labels, syscall: "openat" }),
  };
}

/** The labels of a container's series. */
export function labelsOf({ pod, name }: LabContainer): Labels {
  return { namespace: pod.namespace, pod: pod.spec.name, container: name };
}

/** Asserts that a cycle from now on shows exactly these counts. */
export async function assertCounted(
  agent: AgentProcess,
  container: LabContainer,
  expected: Counts,
): Promise<Scrape> {
  const scrape = await agent.fresh();
  assert.deepEqual(counted(scrape, labelsOf(container)), expected);
  return scrape;
}

/** Entries of the maps that have one or more for every container, by map. */
export function mapEntries(scrape: Scrape): Record<string, number> {
  return Object.fromEntries(
    ["cgroups", "cpu_sched", "tcp", "syscall"].map((
      map,
    ) => [map, scrape.sum("kpod_bpf_map_entries", { map })]),
  );
}
