/** One run: load, churn, scrapes and faults beside each other until the time is over. */
import { setTimeout as pause } from "node:timers/promises";
import type { Scrape } from "../agent/agent.ts";
import { labelsOf, LOAD_SETTINGS, mapEntries } from "../agent/load.ts";
import { forget } from "../agent/pod_changes.ts";
import { Scraper } from "../agent/scraper.ts";
import { countDescriptors, liveShortly, Totals } from "../agent/totals.ts";
import { FaultLab, logLines } from "../faults/fault_lab.ts";
import type { LabContainer } from "../lab/pods.ts";
import { contextSwitches, settled } from "../lab/proc.ts";
import type { Workload } from "../lab/workload.ts";
import type { Arguments } from "./arguments.ts";
import { FAULTS } from "./faults.ts";
import type { Sample } from "./growth.ts";
import { toldTooOften } from "./log_rate.ts";

const STEADY_PODS = 3;
const STEADY_CONTAINERS = ["a", "b", "c"];
const TRACKED = LOAD_SETTINGS.KPOD_SYSCALL_TRACKED.split(",").length;
/** How long a count may take to be served: a fault, the wait for a retry, and a busy machine. */
const LIMIT_MS = 120_000;
/**
 * Twice this is how long an ended container's counts wait for its name, which has to be longer than any fault of the
 * kubelet's here.
 */
const POLL_INTERVAL_MS = "15000";

/** What the agent's figures were, sample by sample. */
export type FigureName = "rss" | "descriptors" | "entries" | "cycle";

export interface Outcome {
  readonly samples: Readonly<Record<FigureName, readonly Sample[]>>;
  /** How often each thing happened. */
  readonly events: ReadonlyMap<string, number>;
  /** What is not as it must be, in words. */
  readonly wrong: readonly string[];
}

export async function soak({ minutes }: Arguments, random: () => number): Promise<Outcome> {
  const timeout = { KPOD_KUBELET_TIMEOUT_MS: "2000" };
  await using lab = await FaultLab.start({ ...timeout, KPOD_POLL_INTERVAL_MS: POLL_INTERVAL_MS });
  return await new Soak(lab, random, minutes * 60_000).run();
}

class Soak {
  readonly #events = new Map<string, number>();
  readonly #samples: Record<FigureName, Sample[]> = { rss: [], descriptors: [], entries: [], cycle: [] };
  /** Pods whose counters have to go on. */
  readonly #existing = new Set(["web"]);
  readonly #began = performance.now();
  readonly #ending = new AbortController();
  #jobs = 0;

  constructor(
    private readonly lab: FaultLab,
    private readonly random: () => number,
    private readonly lastsMs: number,
  ) {}

  async run(): Promise<Outcome> {
    const { lab, lab: { node } } = this;
    const [server, switching, ...steady] = await Promise.all(
      ["server", "switching", ...Array.from({ length: STEADY_PODS }, (_, index) => `steady-${index}`)].map(
        (name) => node.addPod({ name, containers: name.startsWith("steady") ? STEADY_CONTAINERS : ["main"] }),
      ),
    );
    if (server === undefined || switching === undefined) throw new Error("Cannot soak: there are no pods");
    const echo = await node.run(server.container(), ["tcp-server", "127.0.0.1", "0", "--mode", "echo"]);
    const totals = new Totals(node, echo.port);
    const containers = steady.flatMap((pod) => pod.containers);
    for (const container of containers) await totals.work(container);
    await using scraper = Scraper.start(lab.agent, (pod) => this.#existing.has(pod));
    await this.#until(scraper, "all is counted", (scrape) => totals.missing(scrape));
    const switches = await Switches.start(lab, switching.container());
    const descriptors = countDescriptors(lab.agent);
    for (const pod of [server, switching, ...steady]) this.#existing.add(pod.spec.name);

    const until = setTimeout(() => this.#ending.abort(), this.lastsMs);
    try {
      await this.#all([
        this.#sample(scraper),
        this.#suffer(),
        switches.run(this.#ending.signal),
        this.#churn(totals, scraper),
        this.#churn(totals, scraper),
        ...containers.map((container) => this.#live(container, totals, scraper)),
      ]);
    } finally {
      clearTimeout(until);
    }

    const wrong: string[] = [];
    const hold = async (what: string, condition: (scrape: Scrape) => true | string) => {
      await this.#until(scraper, what, condition).catch((error) => wrong.push(String(error.message)));
    };
    await hold("all is counted in the end", (scrape) => totals.missing(scrape));
    await hold("context switches are the kernel's own", await switches.missing());
    // The server's, those that work, the two that are there from the start; the sandboxes sleep.
    const present = containers.length + 3;
    await hold("the maps hold only what there is", (scrape) => {
      const entries = mapEntries(scrape);
      const { tcp = 0, cgroups = 0, cpu_sched = 0, syscall = 0 } = entries;
      const most = present + 3 + steady.length;
      const isRight = tcp <= present && cgroups <= most && cpu_sched <= most && syscall <= most * TRACKED;
      return isRight || `${JSON.stringify(entries)} for ${most} cgroups, ${present} of them with connections`;
    });
    await hold(
      "no update was refused",
      (scrape) => scrape.sum("kpod_bpf_map_update_errors_total") === 0 || "some",
    );
    await hold("no descriptor is left over", () => {
      const now = countDescriptors(lab.agent);
      // A poll or a scrape may be under way.
      return now <= descriptors + 2 || `${now} instead of ${descriptors}`;
    });
    const told = toldTooOften(logLines(lab.agent));
    if (told.length > 0) wrong.push(`logged more than once a minute: ${told.join("; ")}`);
    this.#count("scrapes", scraper.scrapes);
    this.#count("bytes sent", totals.sent);
    this.#count("connections", totals.connections);
    this.#count("context switches", switches.count);
    return { samples: this.#samples, events: this.#events, wrong };
  }

  /** A container that works, restarts now and then, and is held to its counts each time. */
  async #live(container: LabContainer, totals: Totals, scraper: Scraper): Promise<void> {
    while (!this.#ending.signal.aborted) {
      if (this.random() < 0.1) {
        await this.lab.node.restartContainer(container);
        this.#count("containers restarted");
      }
      await totals.work(container);
      await this.#until(scraper, "it is counted", (scrape) => totals.missing(scrape, [container]));
      await this.#wait(1, 5);
    }
  }

  /** Pods that come, work and go. */
  async #churn(totals: Totals, scraper: Scraper): Promise<void> {
    while (!this.#ending.signal.aborted) {
      const name = `job-${this.#jobs++}`;
      const pod = await liveShortly(this.lab.node, name, totals);
      await this.#until(scraper, `${name} is counted`, (scrape) => totals.missing(scrape, pod.containers));
      forget(this.lab.node, pod);
      for (const container of pod.containers) totals.forget(container);
      this.#count("pods that came and went");
      await this.#wait(0, 2);
    }
  }

  /** One fault after the other, with some time in between. */
  async #suffer(): Promise<void> {
    const faults = Object.entries(FAULTS);
    while (!this.#ending.signal.aborted) {
      await this.#wait(5, 15);
      const [name, begin] = faults[Math.floor(this.random() * faults.length)] ?? [];
      if (name === undefined || begin === undefined) throw new Error("Cannot suffer: there are no faults");
      const end = await begin(this.lab);
      await this.#wait(2, 8);
      await end();
      this.#count(name);
    }
  }

  async #sample(scraper: Scraper): Promise<void> {
    let before: Scrape | undefined;
    while (!this.#ending.signal.aborted) {
      const scrape = await scraper.next();
      const add = (figure: FigureName, value: number) =>
        this.#samples[figure].push({ second: (performance.now() - this.#began) / 1000, value });
      const rss = scrape.sum("process_resident_memory_bytes");
      // At its limit of files the agent may have no room to look at itself.
      if (rss > 0) add("rss", rss / 1e6);
      add("descriptors", countDescriptors(this.lab.agent));
      add("entries", Object.values(mapEntries(scrape)).reduce((sum, count) => sum + count, 0));
      const cycles = before === undefined ? 0 : scrape.cycles - before.cycles;
      const spent = (each: Scrape) => each.sum("kpod_collection_duration_seconds_sum");
      if (before !== undefined && cycles > 0) add("cycle", 1000 * (spent(scrape) - spent(before)) / cycles);
      before = scrape;
    }
  }

  /** Runs all until the end; where one fails the others end as well. */
  async #all(loops: readonly Promise<void>[]): Promise<void> {
    for (const loop of loops) loop.catch(() => this.#ending.abort());
    await Promise.allSettled(loops);
    await Promise.all(loops);
  }

  async #until(scraper: Scraper, what: string, condition: (scrape: Scrape) => true | string): Promise<void> {
    const deadline = performance.now() + LIMIT_MS;
    for (;;) {
      const result = condition(await scraper.next());
      if (result === true) return;
      if (performance.now() > deadline) {
        throw new Error(`Cannot wait longer until ${what}: got ${result}\n${this.lab.agent.log}`);
      }
    }
  }

  /** Some seconds, or less if the end comes before. */
  async #wait(least: number, most: number): Promise<void> {
    const seconds = least + this.random() * (most - least);
    await pause(seconds * 1000, undefined, { signal: this.#ending.signal }).catch(() => {});
  }

  #count(event: string, by = 1): void {
    this.#events.set(event, (this.#events.get(event) ?? 0) + by);
  }
}

/** Two threads that switch to and fro, whose switches the kernel counts as well. */
class Switches {
  /** What the kernel has counted since the start. */
  count = 0;

  private constructor(
    private readonly workload: Workload,
    private readonly container: LabContainer,
    private readonly before: { readonly own: number; readonly served: number },
  ) {}

  static async start(lab: FaultLab, container: LabContainer): Promise<Switches> {
    const workload = await lab.node.run(container, ["switch", "2"], { pin: true });
    await settled(workload.pid);
    const served = servedSwitches(await lab.agent.fresh(), container);
    return new Switches(workload, container, { own: ownSwitches(workload), served });
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.workload.go(500);
      await pause(1_000, undefined, { signal }).catch(() => {});
    }
  }

  /** What is true of a scrape that has all of them; the threads sleep from now on. */
  async missing(): Promise<(scrape: Scrape) => true | string> {
    await settled(this.workload.pid);
    this.count = ownSwitches(this.workload) - this.before.own;
    return (scrape) => {
      const served = servedSwitches(scrape, this.container) - this.before.served;
      return served === this.count || `${served} instead of ${this.count}`;
    };
  }
}

function ownSwitches({ pid }: Workload): number {
  const { voluntary, involuntary } = contextSwitches(pid);
  return voluntary + involuntary;
}

function servedSwitches(scrape: Scrape, container: LabContainer): number {
  return scrape.sum("kpod_cpu_context_switches_total", labelsOf(container));
}
