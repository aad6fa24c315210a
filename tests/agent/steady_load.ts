/** A load that moves every eBPF metric at a steady pace and keeps its own account of each. */
import { setTimeout as pause } from "node:timers/promises";
import type { LabNode } from "../lab/node.ts";
import type { LabContainer } from "../lab/pods.ts";
import { contextSwitches, schedStat, settled, tcpCounter } from "../lab/proc.ts";
import type { SyscallCounts, Transfer, Workload } from "../lab/workload.ts";
import { RetransmitAccount } from "../kernel/retransmit_account.ts";
import type { Labels } from "./agent.ts";
import { labelsOf } from "./load.ts";

const STEP_MS = 200;
const OOM_EVERY_MS = 3_000;
const MEBIBYTE = 1 << 20;

/** A series that the load moves: PromQL without braces and range, and how near the agent must come. */
export interface Account {
  readonly series: string;
  readonly labels: Labels;
  /** What the load has made of it since its start. */
  count: number;
  /** The share by which it may be off; 0 where both count the same events. */
  readonly tolerance: number;
  /** Whether it comes evenly enough for a rate over some seconds. */
  readonly isSteady: boolean;
}

/** All counts at a time in milliseconds since the epoch, in the order of `accounts`. */
interface Moment {
  readonly time: number;
  readonly counts: readonly number[];
}

export class SteadyLoad implements Disposable {
  readonly accounts: readonly Account[];
  /** Round-trip times that the kernel told of the connections, in seconds. */
  readonly roundTrips: number[] = [];
  /** Until when the steady part of the last run went on, in milliseconds since the epoch. */
  steadyUntil = 0;
  readonly #moments: Moment[] = [];
  readonly #retransmits = new RetransmitAccount();
  readonly #sentBefore: number;

  private constructor(
    private readonly node: LabNode,
    private readonly load: Awaited<ReturnType<typeof startWorkloads>>,
  ) {
    this.#sentBefore = tcpCounter(load.processes.lossy.pid, "RetransSegs");
    const { client, server, lossy, faults, calls, sleeps, switches, spin, hungry } = load.containers;
    const account = (
      series: string,
      container: LabContainer,
      { labels = {}, tolerance = 0, isSteady = true }: Partial<Account> = {},
    ): Account => ({ series, labels: { ...labelsOf(container), ...labels }, count: 0, tolerance, isSteady });
    this.accounts = [
      account("kpod_net_tcp_bytes_sent_total", client),
      account("kpod_net_tcp_bytes_received_total", server),
      account("kpod_net_tcp_connections_total", client, { labels: { direction: "active" } }),
      account("kpod_net_tcp_connections_total", server, { labels: { direction: "passive" } }),
      account("kpod_net_tcp_connect_failures_total", client),
      account("kpod_net_tcp_retransmits_total", lossy, { isSteady: false }),
      account("kpod_mem_major_page_faults_total", faults),
      account("kpod_syscall_count_total", calls, { labels: { syscall: "read" } }),
      account("kpod_syscall_errors_total", calls, { labels: { syscall: "openat" } }),
      account("kpod_syscall_latency_seconds_count", sleeps, { labels: { syscall: "futex" } }),
      account("kpod_syscall_latency_seconds_sum", sleeps, { labels: { syscall: "futex" }, tolerance: 0.05 }),
      // Of each of three threads the last switch may be in one number and not yet in the other.
      account("kpod_cpu_context_switches_total", switches, { tolerance: 0.001 }),
      account("kpod_cpu_runqueue_latency_seconds_count", spin, { tolerance: 0.02 }),
      account("kpod_cpu_runqueue_latency_seconds_sum", spin, { tolerance: 0.02, isSteady: false }),
      account("kpod_mem_oom_kills_total", hungry, { isSteady: false }),
    ];
  }

  /** Starts the processes, which do nothing yet. */
  static async start(node: LabNode): Promise<SteadyLoad> {
    return new SteadyLoad(node, await startWorkloads(node));
  }

  /** Makes load for so long, and returns when all of it is done and all processes sleep. */
  async run(milliseconds: number): Promise<void> {
    const { processes } = this.load;
    const before = await this.#witnesses();
    const end = performance.now() + milliseconds;
    const every = async (ms: number, step: () => Promise<unknown>) => {
      while (performance.now() < end) await Promise.all([step(), pause(ms)]);
    };
    await Promise.all([
      every(STEP_MS, () => this.#step()).then(() => this.steadyUntil = Date.now()),
      every(STEP_MS, async () => this.#note(before, await this.#readWitnesses())),
      every(0, () => processes.lossy.go(MEBIBYTE / 2)),
      every(OOM_EVERY_MS, () => this.#runOutOfMemory()),
    ]);
    this.#note(before, await this.#witnesses());
  }

  /** What an account grew by from one time to another, by its own numbers; times as in `Moment`. */
  growth(account: Account, from: number, to: number): number {
    const index = this.accounts.indexOf(account);
    const at = (time: number) => {
      const later = this.#moments.findIndex((moment) => moment.time >= time);
      const [one, other] = [this.#moments.at(later - 1), this.#moments.at(later)];
      if (later < 1 || one === undefined || other === undefined) {
        throw new RangeError(`Cannot tell ${account.series} at ${time}: the load was not running`);
      }
      const [low = 0, high = 0] = [one.counts[index], other.counts[index]];
      return low + (high - low) * (time - one.time) / (other.time - one.time);
    };
    return at(to) - at(from);
  }

  async #step(): Promise<void> {
    const { client, refused, faults, calls, sleeps, switches, spin } = this.load.processes;
    const [transfer, , fault, syscalls, sleep] = await Promise.all([
      client.go<Transfer>(100_000),
      refused.send("connect"),
      faults.go(10),
      calls.go<SyscallCounts>(200),
      sleeps.go(5, 2_000),
      switches.go(200),
      spin.go(5),
    ]);
    this.roundTrips.push(transfer.tcp.min_rtt_us / 1e6, transfer.tcp.rtt_us / 1e6);
    this.#add("kpod_net_tcp_bytes_sent_total", transfer.sent);
    this.#add("kpod_net_tcp_bytes_received_total", transfer.sent);
    this.#add("kpod_net_tcp_connections_total", 1);
    this.#add("kpod_net_tcp_connect_failures_total", 1);
    this.#add("kpod_mem_major_page_faults_total", fault.major_faults ?? NaN);
    this.#add("kpod_syscall_count_total", syscalls.read.count);
    this.#add("kpod_syscall_errors_total", syscalls.openat.errors);
    this.#add("kpod_syscall_latency_seconds_count", sleep.count ?? NaN);
    this.#add("kpod_syscall_latency_seconds_sum", (sleep.ns ?? NaN) / 1e9);
  }

  async #runOutOfMemory(): Promise<void> {
    const { hungry } = this.load.containers;
    const workload = await this.node.run(hungry, ["alloc"]);
    const survived = await workload.go(64).then(() => true, () => false);
    if (survived) throw new Error("Cannot run out of memory: the container's limit does not hold");
    await workload.exited;
    this.#add("kpod_mem_oom_kills_total", 1);
    await this.node.restartContainer(hungry, { exitCode: 137, reason: "OOMKilled" });
  }

  /** Asserts that the kernel has reported the retransmits that it has counted. */
  assertReported(): void {
    const { pid } = this.load.processes.lossy;
    const counted = tcpCounter(pid, "RetransSegs") - this.#sentBefore;
    this.#retransmits.assertReported("retransmits", this.#retransmits.reported(pid), counted);
  }

  [Symbol.dispose](): void {
    this.#retransmits[Symbol.dispose]();
  }

  #add(series: string, amount: number): void {
    for (const account of this.accounts) if (account.series === series) account.count += amount;
  }

  /** Counts that the kernel keeps, when nothing moves. */
  async #witnesses(): Promise<Witnesses> {
    const { switches, spin } = this.load.processes;
    await Promise.all([settled(switches.pid), settled(spin.pid)]);
    return this.#readWitnesses();
  }

  #readWitnesses(): Witnesses {
    const { lossy, switches, spin } = this.load.processes;
    const { voluntary, involuntary } = contextSwitches(switches.pid);
    const { runs, waitedNs } = schedStat(spin.pid);
    return {
      kpod_net_tcp_retransmits_total: this.#retransmits.reported(lossy.pid),
      kpod_cpu_context_switches_total: voluntary + involuntary,
      kpod_cpu_runqueue_latency_seconds_count: runs,
      kpod_cpu_runqueue_latency_seconds_sum: waitedNs / 1e9,
    };
  }

  #note(before: Witnesses, now: Witnesses): void {
    for (const account of this.accounts) {
      const value = now[account.series];
      if (value !== undefined) account.count = value - (before[account.series] ?? NaN);
    }
    this.#moments.push({ time: Date.now(), counts: this.accounts.map(({ count }) => count) });
  }
}

/** Counts by series. */
type Witnesses = Readonly<Record<string, number>>;

async function startWorkloads(node: LabNode) {
  const web = await node.addPod({ name: "web", containers: ["client", "server"] });
  const lossy = await node.addPod({ name: "lossy", ownNetwork: true });
  const busy = await node.addPod({
    name: "busy",
    qosClass: "Burstable",
    containers: ["faults", "calls", "sleeps", "switches", "spin"],
  });
  const memoryLimitBytes = 16 * MEBIBYTE;
  const hungry = await node.addPod({ name: "hungry", containers: [{ name: "main", memoryLimitBytes }] });
  await node.dropTcp(lossy, 3);
  const run = (container: LabContainer, ...args: string[]): Promise<Workload> => node.run(container, args);
  const pinned = (container: LabContainer, ...args: string[]) => node.run(container, args, { pin: true });
  const [client, server] = [web.container("client"), web.container("server")];
  const sink = await run(server, "tcp-server", "127.0.0.1", "0");
  const lossySink = await run(lossy.container(), "tcp-server", "127.0.0.1", "0");
  return {
    containers: {
      client,
      server,
      lossy: lossy.container(),
      faults: busy.container("faults"),
      calls: busy.container("calls"),
      sleeps: busy.container("sleeps"),
      switches: busy.container("switches"),
      spin: busy.container("spin"),
      hungry: hungry.container(),
    },
    processes: {
      client: await run(client, "tcp-client", "127.0.0.1", String(sink.port)),
      refused: await run(client, "tcp-client", "127.0.0.1", "1"),
      lossy: await run(
        lossy.container(),
        "tcp-client",
        "127.0.0.1",
        String(lossySink.port),
        "--chunk",
        "4096",
      ),
      faults: await run(busy.container("faults"), "fault", `${node.directory}/index`),
      calls: await run(busy.container("calls"), "syscalls"),
      sleeps: await run(busy.container("sleeps"), "sleep-syscall", "--call", "futex"),
      switches: await pinned(busy.container("switches"), "switch"),
      spin: await pinned(busy.container("spin"), "spin", "--threads", "3"),
    },
  };
}
