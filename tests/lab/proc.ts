/** The kernel's own account of a process in `/proc`: the witness that a metric is held against. */

const SETTLE_LIMIT_MS = 5_000;

/** Context switches of all threads a process has now. */
export interface ContextSwitches {
  readonly voluntary: number;
  readonly involuntary: number;
}

/** Returns the context switches of a process (`/proc/PID/task/TID/status`). Ended threads are not in it. */
export function contextSwitches(pid: number): ContextSwitches {
  let voluntary = 0, involuntary = 0;
  for (const status of taskFiles(pid, "status")) {
    voluntary += Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1]);
    involuntary += Number(/^nonvoluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1]);
  }
  return { voluntary, involuntary };
}

/** What the scheduler says of all threads a process has now (`/proc/PID/task/TID/schedstat`). */
export interface SchedStat {
  readonly onCpuNs: number;
  /** Time spent runnable on a run queue. */
  readonly waitedNs: number;
  /** Times it got a CPU. */
  readonly runs: number;
}

export function schedStat(pid: number): SchedStat {
  const sum = [0, 0, 0];
  for (const text of taskFiles(pid, "schedstat")) {
    text.trim().split(" ").forEach((field, index) => sum[index] = (sum[index] ?? 0) + Number(field));
  }
  const [onCpuNs = 0, waitedNs = 0, runs = 0] = sum;
  return { onCpuNs, waitedNs, runs };
}

/** Returns the major faults of a process: field 12 of `/proc/PID/stat` (proc_pid_stat(5)). */
export function majorFaults(pid: number): number {
  return Number(statFields(Deno.readTextFileSync(`/proc/${pid}/stat`))[9]);
}

/** Returns a counter of the `Tcp:` lines in a process's network namespace, such as `RetransSegs`. */
export function tcpCounter(pid: number, name: string): number {
  const [names, values] = Deno.readTextFileSync(`/proc/${pid}/net/snmp`).split("\n")
    .filter((line) => line.startsWith("Tcp:")).map((line) => line.split(" "));
  return Number(values?.[names?.indexOf(name) ?? -1]);
}

/**
 * Waits until every thread of a process sleeps, as it does between an answer and the next line, and has left its CPU,
 * which it does a moment after it is said to sleep: only then do the counts include the switch that put it to sleep.
 * Throws after five seconds.
 */
export async function settled(pid: number): Promise<void> {
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  while (!isSettled(pid)) {
    if (performance.now() > deadline) throw new Error(`Cannot wait for process ${pid}: it goes on running`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function isSettled(pid: number): boolean {
  return taskFiles(pid, "stat").every((stat) => statFields(stat)[0] === "S") &&
    taskFiles(pid, "syscall").every((call) => call.trim() !== "running");
}

/** The fields after the name, which may itself hold blanks and parentheses: state is the first. */
function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function taskFiles(pid: number, name: string): string[] {
  const texts: string[] = [];
  for (const task of Deno.readDirSync(`/proc/${pid}/task`)) {
    try {
      texts.push(Deno.readTextFileSync(`/proc/${pid}/task/${task.name}/${name}`));
    } catch {
      // The thread ended between the listing and the reading.
    }
  }
  return texts;
}
