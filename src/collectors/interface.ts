/** Network interfaces, once a pod: all its containers share them. From PID/net/dev of any of its processes. */
import type { LiveCgroup, LivePod, TargetIndex } from "../cgroup/targets.ts";
import { counter, type Descriptor, POD_LABELS } from "../metrics/descriptor.ts";
import type { Family, Labels } from "../metrics/family.ts";
import { NativeError } from "../native/error.ts";
import type { HostRoot } from "../native/host_files.ts";
import { type InterfaceCounters, parseNetDev } from "../parse/net_dev.ts";
import type { Collector, Cycle } from "./collector.ts";
import { EVENTS_FILE, type Processes } from "./processes.ts";

/** What this collector works with in one cycle. */
export interface InterfaceCycle extends Pick<Cycle, "files"> {
  readonly targets: Pick<TargetIndex, "live" | "livePods" | "targets">;
}

interface InterfaceTotal {
  readonly labels: Labels;
  /** What interfaces of this name that are gone had counted. */
  ended: InterfaceCounters;
  last: InterfaceCounters;
  isPresent: boolean;
}

type PodTotals = Map<string, InterfaceTotal>;

const FAMILIES: readonly (readonly [counter: keyof InterfaceCounters, descriptor: Descriptor<"counter">])[] =
  [
    ["rxBytes", described("rx_bytes", "Bytes that the interface received, headers included.")],
    ["rxPackets", described("rx_packets", "Packets that the interface received.")],
    ["rxErrors", described("rx_errors", "Packets that came in damaged or could not be received.")],
    ["rxDrops", described("rx_drops", "Packets dropped on receiving, those the device missed included.")],
    ["txBytes", described("tx_bytes", "Bytes that the interface sent, headers included.")],
    ["txPackets", described("tx_packets", "Packets that the interface sent.")],
    ["txErrors", described("tx_errors", "Packets that could not be sent for an error.")],
    ["txDrops", described("tx_drops", "Packets dropped instead of being sent.")],
  ];

/** What this collector serves. */
export const INTERFACE: readonly Descriptor[] = FAMILIES.map(([, descriptor]) => descriptor);

function described(name: string, help: string): Descriptor<"counter"> {
  return counter(`kpod_net_iface_${name}_total`, help, ...POD_LABELS, "interface");
}

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

/** `proc` is the host's procfs. */
export function interfaceCollector(
  proc: Pick<HostRoot, "readText" | "walk">,
  processes: Processes,
): Collector & { collect(cycle: InterfaceCycle): Family[] } {
  const pods = new Map<string, PodTotals>();

  /** The pod's net/dev. */
  function netDev(cycle: InterfaceCycle, { cgroups }: LivePod, host: bigint | undefined): string | undefined {
    // The sandbox's process keeps to the pod's namespace; a container's may have made one of its own.
    for (const { id } of cgroups.toSorted((one, other) => rank(one) - rank(other))) {
      const text = processes.look(cycle, id, (pid) => {
        // The runtime's own, about to become a container's: it joins the cgroup first, the network later.
        if (host !== undefined && networkOf(proc, pid) === host) return undefined;
        return proc.readText(`${pid}/net/dev`);
      });
      if (text !== undefined) return text;
    }
    return undefined;
  }

  function read(cycle: InterfaceCycle): void {
    const { targets } = cycle;
    const live = targets.livePods().filter((pod) => !pod.hostNetwork);
    const host = networkOf(proc, 1);
    for (const pod of live) {
      const { uid, labels } = pod;
      const text = netDev(cycle, pod, host);
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
    files: [EVENTS_FILE],
    collect(cycle: InterfaceCycle): Family[] {
      read(cycle);
      const present = [...pods.values()].flatMap((totals) => [...totals.values()]).filter((total) =>
        total.isPresent
      );
      return FAMILIES.map(([counter, descriptor]) => ({
        ...descriptor,
        samples: present.map(({ labels, ended, last }) => ({
          labels,
          value: ended[counter] + last[counter],
        })),
      }));
    },
  };
}

/**
 * What stands for a process's network namespace: each has a directory `net/stat` of its own (`proc_net_ns_init` in
 * fs/proc/proc_net.c), and to look at that takes no privilege. `undefined` if the process has ended.
 */
function networkOf(proc: Pick<HostRoot, "walk">, pid: number): bigint | undefined {
  try {
    return proc.walk(`${pid}/net/stat`, 0)[0]?.id;
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    return undefined;
  }
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
