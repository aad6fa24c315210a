/** Filesystems mounted in each container, as `df` there shows them. From PID/mountinfo and statfs beneath PID/root. */
import type { Target, TargetIndex } from "../cgroup/targets.ts";
import type { Logger } from "../log.ts";
import { counter, type Descriptor, gauge, POD_LABELS } from "../metrics/descriptor.ts";
import type { Family, Labels } from "../metrics/family.ts";
import { withLabel } from "../metrics/labels.ts";
import type { FilesystemSize } from "../native/statfs.ts";
import type { Collector, Cycle } from "./collector.ts";
import { ContainerMounts, type MountProbe } from "./container_mounts.ts";
import {
  FilesystemSizes,
  isDenial,
  type Proc,
  type Question,
  type SizesOptions,
} from "./filesystem_sizes.ts";
import { ProcessFile } from "./process_file.ts";
import { EVENTS_FILE, type Processes, type Procfs } from "./processes.ts";

/** What this collector works with in one cycle. */
export interface FilesystemCycle extends Pick<Cycle, "files"> {
  readonly targets: Pick<TargetIndex, "live">;
}

interface Container {
  readonly labels: Labels;
  /** Its root, as seen from the procfs. */
  readonly directory: string;
  readonly mounts: ContainerMounts;
}

interface Row {
  readonly labels: Labels;
  readonly size: FilesystemSize;
}

type Ask = (questions: readonly Question[]) => Promise<(FilesystemSize | undefined)[]>;

const FAMILIES: readonly (readonly [Descriptor<"gauge">, bytes: (size: FilesystemSize) => number])[] = [
  [described("capacity", "Size of the filesystem."), (size) => size.capacityBytes],
  [described("usage", "Bytes of the filesystem in use."), (size) => size.capacityBytes - size.freeBytes],
  [described("available", "Bytes free to an unprivileged user."), (size) => size.availableBytes],
];

const TIMEOUTS = counter("kpod_fs_timeouts_total", "Times that a filesystem was found not to answer.");

/** What this collector serves. */
export const FILESYSTEM: readonly Descriptor[] = [...FAMILIES.map(([descriptor]) => descriptor), TIMEOUTS];

function described(name: string, help: string): Descriptor<"gauge"> {
  return gauge(`kpod_fs_${name}_bytes`, help, ...POD_LABELS, "mountpoint");
}

/** `proc` is the host's procfs. */
export function filesystemCollector(
  proc: Procfs & Proc,
  processes: Processes,
  log: Pick<Logger, "info" | "warn">,
  options: SizesOptions = {},
): Collector & { collect(cycle: FilesystemCycle): Promise<Family[]> } {
  const sizes = new FilesystemSizes(proc, log, options);
  const mountinfos = new ProcessFile(proc, processes, "mountinfo", (text) => new ContainerMounts(text));
  /** What mounts show that has turned out to be files. */
  let files = new Set<string>();

  function containersOf(cycle: FilesystemCycle): Container[] {
    const containers = new Map<Target, Container>();
    // While a container's next instance starts, the one before may not be gone yet: the newer counts.
    for (const { id, target } of cycle.targets.live().toSorted((one, other) => Number(other.id - one.id))) {
      if (target === undefined || containers.has(target)) continue;
      try {
        const container = processes.look(cycle, id, (process) => ({
          labels: target.labels,
          directory: `${process.pid}/root`,
          mounts: mountinfos.of(cycle, process).value,
        }));
        if (container !== undefined) containers.set(target, container);
      } catch (error) {
        if (!isDenial(error)) throw error;
        sizes.deny(target.labels, error);
      }
    }
    return [...containers.values()];
  }

  async function measure(containers: readonly Container[], ask: Ask): Promise<Row[]> {
    const found = new Map<MountProbe, FilesystemSize | undefined>();
    for (;;) {
      // A mount that turns out to be a file's makes way for another one of its filesystem.
      const unasked = containers.flatMap(({ mounts, ...container }) =>
        mounts.pick(files).filter((probe) => !found.has(probe)).map((probe) => ({ ...container, probe }))
      );
      if (unasked.length === 0) break;
      const answers = await ask(unasked);
      unasked.forEach(({ probe }, index) => {
        const size = answers[index];
        found.set(probe, size);
        if (size?.isDirectory === false) files.add(probe.shown);
      });
    }
    files = new Set(containers.flatMap(({ mounts }) => mounts.files));
    return containers.flatMap(({ labels, mounts }) =>
      mounts.pick(files).flatMap((probe) => rowOf(labels, probe, found.get(probe)))
    );
  }

  /** As `df`, nothing for a filesystem without a size. */
  function rowOf(podLabels: Labels, probe: MountProbe, size: FilesystemSize | undefined): Row[] {
    if (size === undefined || size.capacityBytes === 0) return [];
    return [{ labels: withLabel(podLabels, "mountpoint", probe.mount.mountPoint), size }];
  }

  return {
    name: "filesystem",
    files: [EVENTS_FILE],
    async collect(cycle: FilesystemCycle): Promise<Family[]> {
      const rows = await sizes.round((ask) => measure(containersOf(cycle), ask));
      return [
        ...FAMILIES.map(([descriptor, bytes]) => ({
          ...descriptor,
          samples: rows.map(({ labels, size }) => ({ labels, value: bytes(size) })),
        })),
        { ...TIMEOUTS, samples: [{ labels: {}, value: sizes.timeouts }] },
      ];
    },
  };
}
