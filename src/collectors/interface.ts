/** Network interfaces, once a pod: all its containers share them. From PID/net/dev of any of its processes. */
import type { LiveCgroup, TargetIndex } from "../cgroup/targets.ts";
import type { Family, Labels } from "../metrics/family.ts";
import type { HostRoot } from "../native/host_files.ts";
import { type InterfaceCounters, parseNetDev } from "../parse/net_dev.ts";
import type { Collector, Cycle } from "./collector.ts";
import { fromFirst, PROCESSES_FILE, readProcesses } from "./processes.ts";

/** What this collector works with in one cycle. */
export interface InterfaceCycle extends Pick<Cycle, "files"> {
  readonly targets: Pick<TargetIndex, "livePods" | "targets">;
}

interface InterfaceTotal {
  readonly labels: Labels;
  /** What interfaces of this name that are gone had counted. */
  ended: InterfaceCounters;
  last: InterfaceCounters;
  isPresent: boolean;
}

type PodTotals = Map<string, InterfaceTotal>;

const FAMILIES: readonly (readonly [counter: keyof InterfaceCounters, name: string, help: string])[] = [
  ["rxBytes", "rx_bytes", "Bytes received."],
  ["rxPackets", "rx_packets", "Packets received."],
  ["rxErrors", "rx_errors", "Receive errors."],
  ["rxDrops", "rx_drops", "Packets dropped while receiving, those the device missed included."],
  ["txBytes", "tx_bytes", "Bytes sent."],
  ["txPackets", "tx_packets", "Packets sent."],
  ["txErrors", "tx_errors", "Send errors."],
  ["txDrops", "tx_drops", "Packets dropped while sending."],
];
const NONE: InterfaceCounters = {
  rxBytes: 0,
  rxPackets: 0,
  rxErrors: 0,
  rxDrops: 0,
  txBytes: 0,
  txPackets: 0,
  txErrors: 0,
  txDrops: 0,
};

/** Totals of interfaces that are gone are kept for their return, but not without end: some pods make new ones all day. */
const MOST_ABSENT = 64;

/** `proc` is a procfs in which the process ids that the agent reads are valid. */
export function interfaceCollector(
  proc: Pick<HostRoot, "readText">,
): Collector & { collect(cycle: InterfaceCycle): Family[] } {
  const pods = new Map<string, PodTotals>();

  function read({ targets, files }: InterfaceCycle): void {
    const live = targets.livePods().filter((pod) => !pod.hostNetwork);
    const processes = readProcesses(files, live.flatMap((pod) => pod.cgroups));
    for (const { uid, labels, cgroups } of live) {
      // The sandbox's process keeps to the pod's namespace; a container's may have made one of its own.
      const sandboxFirst = cgroups.toSorted((one, other) => rank(one) - rank(other));
      const pids = sandboxFirst.flatMap(({ id }) => processes.get(id) ?? []);
      const text = fromFirst(pids, (pid) => proc.readText(`${pid}/net/dev`));
      const totals = pods.get(uid) ?? new Map<string, InterfaceTotal>();
      pods.set(uid, totals);
      // Between two sandboxes a pod has no process: what was counted last stands.
      if (text !== undefined) update(totals, labels, parseNetDev(text).interfaces);
    }
    const known = new Set([...live.map(({ uid }) => uid), ...targets.targets().map(({ podUid }) => podUid)]);
    for (const uid of pods.keys()) {
      if (!known.has(uid)) pods.delete(uid);
    }
  }

  return {
    name: "interface",
    files: [PROCESSES_FILE],
    collect(cycle: InterfaceCycle): Family[] {
      read(cycle);
      const present = [...pods.values()].flatMap((totals) => [...totals.values()]).filter((total) =>
        total.isPresent
      );
      return FAMILIES.map(([counter, name, help]) => ({
        type: "counter",
        name: `kpod_net_iface_${name}_total`,
        help,
        samples: present.map(({ labels, ended, last }) => ({
          labels,
          value: ended[counter] + last[counter],
        })),
      }));
    },
  };
}

function rank({ target }: LiveCgroup): number {
  return target === undefined ? 0 : 1;
}

function update(
  totals: PodTotals,
  podLabels: Labels,
  interfaces: ReadonlyMap<string, InterfaceCounters>,
): void {
  for (const total of totals.values()) total.isPresent = false;
  for (const [name, counters] of interfaces) {
    if (name === "lo") continue;
    const total = totals.get(name) ??
      { labels: { ...podLabels, interface: name }, ended: NONE, last: NONE, isPresent: true };
    totals.set(name, total);
    // Made anew, with the namespace after a restart of the sandbox or alone: all its counters are.
    if (FAMILIES.some(([counter]) => counters[counter] < total.last[counter])) {
      total.ended = sum(total.ended, total.last);
    }
    total.last = counters;
    total.isPresent = true;
  }
  const absent = [...totals].filter(([, total]) => !total.isPresent);
  for (const [name] of absent.slice(0, Math.max(0, absent.length - MOST_ABSENT))) totals.delete(name);
}

function sum(one: InterfaceCounters, other: InterfaceCounters): InterfaceCounters {
  const both = FAMILIES.map(([counter]) => [counter, one[counter] + other[counter]]);
  return Object.fromEntries(both) as unknown as InterfaceCounters;
}
