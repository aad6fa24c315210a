/** What the programs count of a container's scheduling beside what the scheduler says itself. */
import type { BpfObject } from "../../src/native/bpf.ts";
import { SLOTS } from "../../src/metrics/histogram.ts";
import type { LabNode } from "../lab/node.ts";
import type { LabContainer } from "../lab/pods.ts";
import { contextSwitches, schedStat } from "../lab/proc.ts";
import { attachOwn } from "./own_object.ts";
import { observations, Watch } from "./watch.ts";

const QUIET_LIMIT_MS = 5_000;
const ATTEMPTS = 50;

export interface Account {
  readonly switches: number;
  /** Times a thread got a CPU after waiting for it. */
  readonly runs: number;
  readonly waitedNs: number;
}

/** Both accounts of the same time. */
export interface Accounts {
  readonly counted: Account;
  readonly witness: Account;
  /** The histogram's slots, of which `counted.runs` is the sum. */
  readonly slots: readonly number[];
}

/** The scheduling programs over a lab node. */
export class SchedAccount implements Disposable {
  readonly watch: Watch;
  readonly #unreported: BpfObject;

  constructor(node: LabNode) {
    this.#unreported = attachOwn("unreported", "count_unreported", {});
    try {
      this.watch = new Watch(node, ["cpu_sched"]);
    } catch (error) {
      this.#unreported.close();
      throw error;
    }
  }

  /**
   * What both accounts say of `act`, whose processes are all that run in the container; it may add more to
   * `pids`. It repeats itself when the kernel has kept a run of theirs from tracing programs, and once more
   * because what was waited before such a run counts with the next one.
   */
  async during(
    container: LabContainer,
    pids: readonly number[],
    act: () => Promise<unknown>,
  ): Promise<Accounts> {
    let complete = this.#unreportedRuns(pids) === 0;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = await this.read(container, pids);
      const unreported = this.#unreportedRuns(pids);
      await act();
      const after = await this.read(container, pids);
      const reported = this.#unreportedRuns(pids) === unreported;
      if (complete && reported) return change(before, after);
      complete = reported;
    }
    throw new Error(
      `Cannot measure ${container.name}: the kernel does not report its runs to tracing programs`,
    );
  }

  /**
   * Reads the programs' account between two equal readings of the witness, so that nothing ran in between. All
   * threads must be asleep or zombies by then: what one on a run queue waits is in neither account as yet.
   */
  async read(container: LabContainer, pids: readonly number[]): Promise<Accounts> {
    const deadline = performance.now() + QUIET_LIMIT_MS;
    for (;;) {
      const before = witnessOf(pids);
      const counters = this.watch.counters("cpu_sched", container);
      const witness = witnessOf(pids);
      if (atRest(pids) && JSON.stringify(before) === JSON.stringify(witness)) {
        return {
          counted: {
            switches: Number(counters["context_switches"] ?? 0),
            runs: observations(counters, "runqueue_latency_slots"),
            waitedNs: Number(counters["runqueue_latency_ns"] ?? 0),
          },
          witness,
          slots: (counters["runqueue_latency_slots"] ?? new Array(SLOTS).fill(0)) as number[],
        };
      }
      if (performance.now() > deadline) throw new Error(`Cannot read ${container.name}: it goes on running`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  [Symbol.dispose](): void {
    this.watch[Symbol.dispose]();
    this.#unreported.close();
  }

  #unreportedRuns(pids: readonly number[]): number {
    return this.#unreported.readMap("unreported")
      .reduce((sum, { key, value }) => sum + (pids.includes(Number(key)) ? Number(value) : 0), 0);
  }
}

function change(before: Accounts, after: Accounts): Accounts {
  const less = (one: Account, other: Account) => ({
    switches: one.switches - other.switches,
    runs: one.runs - other.runs,
    waitedNs: one.waitedNs - other.waitedNs,
  });
  return {
    counted: less(after.counted, before.counted),
    witness: less(after.witness, before.witness),
    slots: after.slots.map((count, slot) => count - (before.slots[slot] ?? 0)),
  };
}

function witnessOf(pids: readonly number[]): Account {
  let switches = 0, runs = 0, waitedNs = 0;
  for (const pid of pids) {
    const { voluntary, involuntary } = contextSwitches(pid);
    const stat = schedStat(pid);
    switches += voluntary + involuntary;
    runs += stat.runs;
    waitedNs += stat.waitedNs;
  }
  return { switches, runs, waitedNs };
}

function atRest(pids: readonly number[]): boolean {
  return pids.every((pid) =>
    [...Deno.readDirSync(`/proc/${pid}/task`)].every(({ name }) =>
      /^State:\s*[SZ]/m.test(Deno.readTextFileSync(`/proc/${pid}/task/${name}/status`))
    )
  );
}
