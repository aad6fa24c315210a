/** What the TCP tests share: a node that is watched for TCP, and what changed while a step ran. */
import assert from "node:assert/strict";
import { preemptsPrograms } from "../../src/native/bpf.ts";
import type { LabNode } from "../lab/node.ts";
import type { LabContainer, LabPod } from "../lab/pods.ts";
import { tcpCounter } from "../lab/proc.ts";
import { until } from "./until.ts";
import { observations, Watch } from "./watch.ts";

/** The program's counters of one container; the RTT histogram as its sum and its number of samples. */
export interface TcpCounts {
  readonly sent: number;
  readonly received: number;
  readonly retransmits: number;
  readonly active: number;
  readonly passive: number;
  readonly failures: number;
  readonly rttNs: number;
  readonly rttSamples: number;
}

/** Watches all TCP signals of the node's pods. */
export function watchTcp(node: LabNode): Watch {
  return new Watch(node, [
    "tcp_bytes_sent",
    "tcp_bytes_received",
    "tcp_retransmits",
    "tcp_connections",
    "tcp_rtt",
  ]);
}

/** What a container has counted so far; all zero while it has no entry. */
export function tcpCounts(watch: Watch, container: LabContainer): TcpCounts {
  const counters = watch.counters("tcp", container);
  const count = (name: string) => Number(counters[name] ?? 0);
  return {
    sent: count("bytes_sent"),
    received: count("bytes_received"),
    retransmits: count("retransmits"),
    active: count("connections_active"),
    passive: count("connections_passive"),
    failures: count("connect_failures"),
    rttNs: count("rtt_ns"),
    rttSamples: observations(counters, "rtt_slots"),
  };
}

/** Counters of the `Tcp:` lines in /proc/net/snmp that witness these metrics. */
const WITNESSES = ["ActiveOpens", "PassiveOpens", "AttemptFails", "RetransSegs", "InSegs"] as const;
export type SnmpCounts = Readonly<Record<(typeof WITNESSES)[number], number>>;

/** The witnesses in the network namespace of a pod that has one of its own. */
export function snmpCounts(pod: LabPod): SnmpCounts {
  const pid = pod.sandboxPid;
  assert.ok(pid !== undefined && pod.spec.ownNetwork);
  return Object.fromEntries(WITNESSES.map((name) => [name, tcpCounter(pid, name)])) as SnmpCounts;
}

/** How often a retransmission timer has gone off in the network namespace of a pod (`TCPTimeouts`). */
export function timeouts(pod: LabPod): number {
  const [names, values] = Deno.readTextFileSync(`/proc/${pod.sandboxPid}/net/netstat`).split("\n")
    .map((line) => line.split(" "));
  return Number(values?.[names?.indexOf("TCPTimeouts") ?? -1]);
}

/** Starts to measure: what it returns tells how much a container has counted since. */
export function tcpSince(watch: Watch, container: LabContainer): () => TcpCounts {
  const before = tcpCounts(watch, container);
  return () => growth(before, tcpCounts(watch, container));
}

/** Whether what is sent counts once it is acknowledged, by the last of the ways to see it. */
export function countsAcknowledged(watch: Watch): boolean {
  return watch.programs.states.some(({ program }) => program === "tcp_sent_probe");
}

/** Asserts how much a container has sent and received, once the last acknowledgement is there. */
export async function assertBytes(
  watch: Watch,
  container: LabContainer,
  expected: readonly [sent: number, received: number],
): Promise<void> {
  const counted = () => {
    const { sent, received } = tcpCounts(watch, container);
    return [sent, received];
  };
  // Asserted after the wait, which cannot say by how much they differ.
  await until("all is acknowledged", () => counted().join() === expected.join()).catch(() => {});
  assert.deepEqual(counted(), expected, container.name);
}

/** The same for the witnesses. */
export function snmpSince(pod: LabPod): () => SnmpCounts {
  const before = snmpCounts(pod);
  return () => growth(before, snmpCounts(pod));
}

function growth<Name extends string>(
  before: Readonly<Record<Name, number>>,
  after: Readonly<Record<Name, number>>,
): Record<Name, number> {
  const names = Object.keys(after) as Name[];
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) as Record<Name, number>;
}

/**
 * Asserts that the programs saw every event and that no map refused one. On a kernel that preempts programs, only those
 * called by way of perf can be held to that.
 */
export function assertNothingMissed(watch: Watch): void {
  const mayMiss = (hook: string) => hook !== "tracepoint" && preemptsPrograms();
  const missed = watch.programs.programs().filter(({ hook, misses }) => misses > 0 && !mayMiss(hook));
  assert.deepEqual(missed.map(({ program, misses }) => ({ program, misses })), []);
  assert.deepEqual([...watch.programs.updateErrors()].filter(([, errors]) => errors > 0), []);
}

/** Runs a command in the network namespace of a pod that has one of its own. */
export async function inNetworkOf(pod: LabPod, ...command: string[]): Promise<void> {
  const args = ["--target", String(pod.sandboxPid), "--net", "--", ...command];
  const { success } = await new Deno.Command("nsenter", { args }).output();
  assert.ok(success, `"${command.join(" ")}" failed in ${pod.spec.name}`);
}

/** Sets a sysctl of a pod's own network namespace, such as `ipv4/tcp_syn_retries`. */
export function setSysctl(pod: LabPod, name: string, value: string): Promise<void> {
  return inNetworkOf(pod, "sh", "-c", 'echo "$1" > "/proc/sys/net/$0"', name, value);
}
