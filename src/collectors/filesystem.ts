/** Filesystems mounted in each container, as `df` there shows them. From PID/mountinfo and statfs beneath PID/root. */
import type { LiveCgroup, Target } from "../cgroup/targets.ts";
import type { Logger } from "../log.ts";
import { counter, type Descriptor, gauge, POD_LABELS } from "../metrics/descriptor.ts";
import type { Family, Labels, Sample } from "../metrics/family.ts";
import { mayHaveCapability } from "../native/capabilities.ts";
import { NativeError } from "../native/error.ts";
import type { FilesystemSize } from "../native/statfs.ts";
import type { Collector } from "./collector.ts";
import { ContainerMounts, type Question } from "./container_mounts.ts";
import { type Answer, FilesystemSizes, isDenial, type Proc, type SizesOptions } from "./filesystem_sizes.ts";
import { Oversized } from "./oversized.ts";
import { ProcessFile } from "./process_file.ts";
import type { Process, ProcessCycle, Processes, Procfs } from "./processes.ts";

interface Container {
  readonly labels: Labels;
  readonly mounts: ContainerMounts;
  readonly process: Process;
}

interface Row {
  readonly labels: Labels;
  readonly size: FilesystemSize;
}

type Ask = (questions: readonly Question[]) => Promise<Answer[]>;

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
): Collector & { collect(cycle: ProcessCycle): Promise<Family[]> } {
  const sizes = new FilesystemSizes(proc, log, options);
  const oversized = new Oversized(
    "filesystems of a container are left out: it has more than are looked at",
    log,
  );
  const mountinfos = new ProcessFile(
    proc,
    processes,
    "mountinfo",
    (text) => new ContainerMounts(text),
    {
      isSettled: (process, mounts) => tellsMounts && !mounts.isPropagated && !mayMount(proc, process),
      ...options.clock === undefined ? {} : { clock: options.clock },
    },
  );
  /** Whether the kernel says which mount a path leads to, so that it shows when a list of mounts is old. */
  let tellsMounts = false;
  /** What mounts show that has turned out to be files. */
  let files = new Set<string>();

  function containersOf(cycle: ProcessCycle): Container[] {
    const containers: Container[] = [];
    for (const [target, own] of Map.groupBy(cycle.targets.live(), targetOf)) {
      const container = target &&
        oversized.unlessTooLong(target.labels, () => containerOf(cycle, target, own));
      if (container !== undefined) containers.push(container);
    }
    return containers;
  }

  function containerOf(
    cycle: ProcessCycle,
    { labels }: Target,
    cgroups: readonly LiveCgroup[],
  ): Container | undefined {
    try {
      // While a container's next instance starts, the one before may not be gone yet: the newer counts.
      for (const { id } of cgroups.toSorted((one, other) => one.id < other.id ? 1 : -1)) {
        const container = processes.look(
          cycle,
          id,
          (process) => ({ labels, process, mounts: mountinfos.of(cycle, process).value }),
        );
        if (container !== undefined) return container;
      }
    } catch (error) {
      if (!isDenial(error)) throw error;
      sizes.deny(labels, error);
    }
    return undefined;
  }

  function questionsOf({ mounts, labels, process }: Container): readonly Question[] {
    const questions = mounts.questions(labels, `${process.pid}/root`, files);
    if (mounts.left > 0) oversized.tell(labels, `${mounts.left} filesystems are left out`);
    return questions;
  }

  async function measure(cycle: ProcessCycle, ask: Ask): Promise<Row[]> {
    const answers = new Map<Question, Answer>();
    let containers = containersOf(cycle);
    await askAll(containers, ask, answers);
    const moved = containers.filter((container) =>
      questionsOf(container).some((question) => answers.get(question) === "moved")
    );
    // Some lists of mounts were not read in this cycle.
    if (moved.filter(({ process }) => mountinfos.reread(process)).length > 0) {
      containers = containersOf(cycle);
      await askAll(containers, ask, answers);
    }
    files = new Set(containers.flatMap(({ mounts }) => mounts.files));
    const rows: Row[] = [];
    for (const question of containers.flatMap(questionsOf)) {
      const size = answers.get(question);
      // As `df`, nothing for a filesystem without a size.
      if (typeof size === "object" && size.capacityBytes > 0) rows.push({ labels: question.labels, size });
    }
    return rows;
  }

  async function askAll(
    containers: readonly Container[],
    ask: Ask,
    answers: Map<Question, Answer>,
  ): Promise<void> {
    for (;;) {
      // A mount that turns out to be a file's makes way for another one of its filesystem.
      const unasked: Question[] = [];
      for (const question of containers.flatMap(questionsOf)) {
        if (!answers.has(question)) unasked.push(question);
      }
      if (unasked.length === 0) return;
      const found = await ask(unasked);
      for (const [index, question] of unasked.entries()) {
        const answer = found[index];
        answers.set(question, answer);
        if (typeof answer !== "object") continue;
        if (!answer.isDirectory) files.add(question.shown);
        tellsMounts ||= answer.mountId !== undefined;
      }
    }
  }

  return {
    name: "filesystem",
    waits: true,
    async collect(cycle: ProcessCycle): Promise<Family[]> {
      const rows = await sizes.round((ask) => measure(cycle, ask));
      return [
        ...FAMILIES.map(([descriptor, bytes]) => ({
          ...descriptor,
          samples: samplesOf(rows, bytes),
        })),
        { ...TIMEOUTS, samples: [{ labels: {}, value: sizes.timeouts }] },
      ];
    },
  };
}

function targetOf({ target }: LiveCgroup): Target | undefined {
  return target;
}

function samplesOf(rows: readonly Row[], bytes: (size: FilesystemSize) => number): Sample[] {
  const samples: Sample[] = [];
  for (const { labels, size } of rows) samples.push({ labels, value: bytes(size) });
  return samples;
}

/**
 * Whether a process may change its mounts: to mount takes CAP_SYS_ADMIN (`may_mount` in fs/namespace.c), which one that
 * a runtime has started may only ever lose. `true` where that cannot be told.
 */
function mayMount(proc: Procfs, { pid }: Process): boolean {
  try {
    return mayHaveCapability(proc.readText(`${pid}/status`), "SYS_ADMIN");
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    return true;
  }
}
