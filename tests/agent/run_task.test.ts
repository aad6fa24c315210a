/** `deno task run`, as someone runs it who has just cloned the project. */
import assert from "node:assert/strict";
import { needsPrograms } from "../kernel/requirements.ts";
import { findCgroup2Mount, findMemoryV1Mount } from "../lab/cgroups.ts";
import { baseEnvironment, eventually, freePort, ROOT, Scrape } from "./agent.ts";

/** A series of each eBPF family. */
const FAMILIES = [
  "kpod_cpu_runqueue_latency_seconds_count",
  "kpod_cpu_context_switches_total",
  "kpod_net_tcp_bytes_sent_total",
  "kpod_net_tcp_bytes_received_total",
  "kpod_net_tcp_retransmits_total",
  "kpod_net_tcp_connections_total",
  "kpod_net_tcp_connect_failures_total",
  "kpod_net_tcp_rtt_seconds_count",
  "kpod_mem_oom_kills_total",
  "kpod_mem_major_page_faults_total",
  "kpod_syscall_count_total",
  "kpod_syscall_errors_total",
  "kpod_syscall_latency_seconds_count",
];

const LIMIT_MS = 60_000;

/** Where the task would find a kubelet to use instead of its lab. */
const hasKubelet = (await Promise.all([10250, 10255].map(listens))).includes(true);
if (hasKubelet) console.error("Nothing is tested with the task's lab: a kubelet answers on this machine");

/** Ctrl-C is a signal to every process of the terminal's foreground group; `kill` is one to the task alone. */
for (const [how, sign] of [["Ctrl-C", -1], ["an interrupted task", 1]] as const) {
  Deno.test(`deno task run shows every eBPF metric of pods, and ${how} leaves nothing behind`, {
    ignore: needsPrograms.ignore || hasKubelet,
  }, async () => {
    const address = `127.0.0.1:${freePort()}`;
    const task = new Task(address);
    try {
      await eventually("every family counts", async () => {
        const missing = await silentFamilies(address);
        return missing.length === 0 || `nothing of ${missing}`;
      }, { limitMs: LIMIT_MS, detail: () => task.log });
      const processes = descendantsOf(task.pid);
      const lab = processes.find(({ command }) => command.includes("tests/lab/run.ts"));
      assert.ok(lab !== undefined && leftovers(lab.pid).length >= 2, JSON.stringify(processes));
      const networks = new Set(processes.map(({ network }) => network));
      networks.delete(Deno.readLinkSync("/proc/self/ns/net"));
      assert.ok(networks.size >= 3, `${networks.size} networks`);

      Deno.kill(sign * task.pid, "SIGINT");
      assert.equal((await task.ended).code, 0, task.log);
      assert.deepEqual(processes.filter(({ pid, command }) => processAt(pid)?.command === command), []);
      assert.deepEqual(leftovers(lab.pid), []);
      assert.deepEqual(allProcesses().filter(({ network }) => networks.has(network)), []);
      assert.doesNotMatch(task.log, /^\s+at |lab: /m);
    } finally {
      task.kill();
      await task.ended;
    }
  });
}

async function listens(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

/** The task in a process group of its own. */
class Task {
  readonly #process: Deno.ChildProcess;
  readonly ended: Promise<Deno.CommandStatus>;
  log = "";

  constructor(address: string) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["task", "run"],
      cwd: ROOT,
      clearEnv: true,
      env: { ...baseEnvironment(), KPOD_LISTEN_ADDRESS: address },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      detached: true,
    }).spawn();
    this.ended = this.#readLog();
  }

  get pid(): number {
    return this.#process.pid;
  }

  kill(): void {
    try {
      Deno.kill(-this.pid, "SIGKILL");
    } catch {
      // All of it has ended.
    }
  }

  async #readLog(): Promise<Deno.CommandStatus> {
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) this.log += text;
    return await this.#process.status;
  }
}

/** Families without a series of a lab pod that has counted something. */
async function silentFamilies(address: string): Promise<string[]> {
  const response = await fetch(`http://${address}/metrics`).catch(() => undefined);
  const scrape = new Scrape(await response?.text() ?? "");
  return FAMILIES.filter((name) => !scrape.find(name, { namespace: "demo" }).some(({ value }) => value > 0));
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  /** Its network namespace. */
  readonly network: string;
}

function allProcesses(): Process[] {
  return [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name))
    .flatMap(({ name }) => processAt(Number(name)) ?? []);
}

/** The process of this id; `undefined` when there is none, or only its ended shell. */
function processAt(pid: number): Process | undefined {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return {
      pid,
      parent: Number(/^PPid:\t(\d+)/m.exec(status)?.[1]),
      command: Deno.readTextFileSync(`/proc/${pid}/cmdline`).replaceAll("\0", " "),
      network: Deno.readLinkSync(`/proc/${pid}/ns/net`),
    };
  } catch {
    return undefined;
  }
}

function descendantsOf(pid: number): Process[] {
  const all = allProcesses();
  const below = (parent: number): Process[] =>
    all.filter((process) => process.parent === parent).flatMap((process) => [process, ...below(process.pid)]);
  return below(pid);
}

/** What a lab of this process has made: cgroups and temporary files carry the process id in their names. */
function leftovers(pid: number): string[] {
  return [findCgroup2Mount(), findMemoryV1Mount(), "/var/tmp", "/tmp"].flatMap((directory) =>
    directory === undefined
      ? []
      : [...Deno.readDirSync(directory)].filter(({ name }) => name.startsWith(`kpod-lab-${pid}-`))
        .map(({ name }) => `${directory}/${name}`)
  );
}
