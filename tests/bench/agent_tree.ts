/** Where an agent finds all files of the lab's cgroups, on machines whose cgroups lack some of them. See agent_tree.c. */
import { CPU } from "../../src/collectors/cpu.ts";
import { DISK } from "../../src/collectors/disk.ts";
import { MEMORY } from "../../src/collectors/memory.ts";
import { PIDS } from "../../src/collectors/pids.ts";
import { PRESSURE } from "../../src/collectors/pressure.ts";
import { EVENTS_FILE } from "../../src/collectors/processes.ts";
import { ROOT } from "../agent/agent.ts";
import { BUILD, Helper } from "./agent_helper.ts";

/** Files of a container's cgroup that metrics are from. */
export const METRIC_FILES = [DISK, CPU, MEMORY, PRESSURE, PIDS].flatMap(({ files }) => files);

/** Those whose numbers grow while a container works, apart from those that every kernel keeps itself. */
const MOVING = ["io.stat", "memory.current", "memory.stat"];

const MOUNT_POINT = `${BUILD}/node`;
const FIXTURE = `${ROOT}/tests/fixtures/kubelet-1.36/systemd/steady/tree/sys/fs/cgroup/kubepods.slice`;

/** One for the whole process: to bring its file numbers up to those of cgroups may take ten seconds. */
let running: Promise<Helper> | undefined;

export class NodeTree implements AsyncDisposable {
  private constructor(private readonly helper: Helper) {}

  /** Makes the tree of the cgroups that are below a directory now. */
  static async make(root: string, interrupted: AbortSignal): Promise<NodeTree> {
    interrupted.throwIfAborted();
    running ??= start(interrupted);
    const tree = new NodeTree(await running);
    await tree.helper.send(`make ${root}`);
    return tree;
  }

  /** Where the cgroups are, for processes started by `wrapper`. */
  readonly root = `${MOUNT_POINT}/tree`;

  /** A command that runs another one, which follows, so that it sees the tree; it starts in `/`. */
  get wrapper(): readonly string[] {
    return ["nsenter", `--mount=/proc/${this.helper.pid}/ns/mnt`, "--"];
  }

  /** What the containers used grows. */
  async change(): Promise<void> {
    await this.helper.send("change");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It may have been ended before its tree.
    await this.helper.send("clear").catch(() => {});
  }
}

/** Starts what keeps the trees, until it is interrupted or this process ends. */
async function start(interrupted: AbortSignal): Promise<Helper> {
  await Deno.mkdir(MOUNT_POINT, { recursive: true });
  const helper = await Helper.start("agent_tree", [MOUNT_POINT]);
  interrupted.addEventListener("abort", () => {
    running = undefined;
    void helper[Symbol.asyncDispose]();
  });
  for (const name of [EVENTS_FILE, ...METRIC_FILES]) {
    await helper.send(`${MOVING.includes(name) ? "moving" : "file"} ${name}`);
  }
  for (const directory of wholeCgroups(FIXTURE)) await helper.send(`template ${directory}`);
  return helper;
}

/** The captured cgroups that have all files, and have used a disk. */
function wholeCgroups(directory: string): string[] {
  if (METRIC_FILES.every((name) => isFile(`${directory}/${name}`))) {
    return Deno.readTextFileSync(`${directory}/io.stat`) === "" ? [] : [directory];
  }
  return [...Deno.readDirSync(directory)].filter((entry) => entry.isDirectory)
    .flatMap(({ name }) => wholeCgroups(`${directory}/${name}`)).sort();
}

/** Whether there is such a file. */
export function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
