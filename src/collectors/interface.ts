/** Network interfaces, once a pod: all its containers share them. From PID/net/dev of any of its processes. */
import type { LiveCgroup, LivePod, TargetIndex } from "../cgroup/targets.ts";
import { counter, type Descriptor, POD_LABELS } from "../metrics/descriptor.ts";
import type { Logger } from "../log.ts";
import type { Family, Labels, Sample } from "../metrics/family.ts";
import { NativeError } from "../native/error.ts";
import { type InterfaceCounters, parseNetDev } from "../parse/net_dev.ts";
import type { Collector } from "./collector.ts";
import { Oversized } from "./oversized.ts";
import { ProcessFile } from "./process_file.ts";
import type { ProcessCycle, Processes, Procfs } from "./processes.ts";

/** What this collector works with in one cycle. */
export interface InterfaceCycle extends ProcessCycle {
  readonly targets: Pick<TargetIndex, "live" | "livePods" | "targets">;
}

interface InterfaceTotal {
  readonly labels: Labels;
  /** What interfaces of this name that are gone had counted. */
  ended: InterfaceCounters;
  last: InterfaceCounters;
  isPresent: boolean;
}

type Interfaces = ReadonlyMap<string, InterfaceCounters>;

interface PodInterfaces {
  readonly totals: Map<string, InterfaceTotal>;
  /** What is in the totals. */
  last: Interfaces | undefined;
}

const NET_DEV = "net/dev";

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
  proc: Procfs,
  processes: Processes,
  log: Pick<Logger, "warn">,
): Collector & { collect(cycle: InterfaceCycle): Family[] } {
  const pods = new Map<string, PodInterfaces>();
  const netDevs = new ProcessFile(proc, processes, NET_DEV, (text) => parseNetDev(text).interfaces);
  const oversized = new Oversized("interfaces of a pod are left out: it has more than are read", log);
  let hostNetwork: bigint | undefined;

  /** What the pod's net/dev says. */
  function interfacesOf(cycle: InterfaceCycle, { cgroups }: LivePod): Interfaces | undefined {
    // The sandbox's process keeps to the pod's namespace; a container's may have made one of its own.
    for (const { id } of sandboxFirst(cgroups)) {
      const interfaces = processes.look(cycle, id, (process) => {
        const { inode, value } = netDevs.of(cycle, process);
        // The runtime's own, about to become a container's: it joins the cgroup first, the network later.
        return inode === hostNetwork ? undefined : value;
      });
      if (interfaces !== undefined) return interfaces;
    }
    return undefined;
  }

  function read(cycle: InterfaceCycle): void {
    const { targets } = cycle;
    const live = targets.livePods().filter((pod) => !pod.hostNetwork);
    hostNetwork ??= networkOf(proc, 1);
    for (const pod of live) {
      const { uid, labels } = pod;
      const interfaces = oversized.unlessTooLong(labels, () => interfacesOf(cycle, pod));
      const known = pods.get(uid) ?? { totals: new Map<string, InterfaceTotal>(), last: undefined };
      pods.set(uid, known);
      // Between two sandboxes a pod has no process: what was counted last stands.
      if (interfaces === undefined || interfaces === known.last) continue;
      update(known.totals, labels, interfaces);
      known.last = interfaces;
    }
    const known = new Set([...live.map(({ uid }) => uid), ...targets.targets().map(({ podUid }) => podUid)]);
    for (const uid of pods.keys()) {
      if (!known.has(uid)) pods.delete(uid);
    }
  }

  return {
    name: "interface",
    collect(cycle: InterfaceCycle): Family[] {
      read(cycle);
      const present = [...pods.values()].flatMap(({ totals }) => [...totals.values()]).filter((total) =>
        total.isPresent
      );
      return FAMILIES.map(([counter, descriptor]) => ({
        ...descriptor,
        samples: samplesOf(present, counter),
      }));
    },
  };
}

function samplesOf(totals: readonly InterfaceTotal[], counter: keyof InterfaceCounters): Sample[] {
  const samples: Sample[] = [];
  for (const { labels, ended, last } of totals) {
    samples.push({ labels, value: ended[counter] + last[counter] });
  }
  return samples;
}

/**
 * What stands for a process's network namespace: each has a file `net/dev` of its own (`proc_alloc_inum` in
 * fs/proc/generic.c), and to look at that takes no privilege. `undefined` if the process has ended.
 */
function networkOf(proc: Procfs, pid: number): bigint | undefined {
  using files = proc.fileSet();
  try {
    const slot = files.addAnew(String(pid), NET_DEV);
    const [text] = files.refresh([slot]);
    return typeof text === "string" ? files.inode(slot) : undefined;
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    return undefined;
  }
}

function sandboxFirst(cgroups: readonly LiveCgroup[]): readonly LiveCgroup[] {
  return [
    ...cgroups.filter(({ target }) => target === undefined),
    ...cgroups.filter(({ target }) => target !== undefined),
  ];
}

function update(
  totals: Map<string, InterfaceTotal>,
  podLabels: Labels,
  interfaces: Interfaces,
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
