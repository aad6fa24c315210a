/**
 * The cycle: refresh the targets, run every collector, publish one immutable snapshot. A scrape that finds the snapshot
 * older than a second runs it first, and concurrent scrapes share that; where no scrape has for a poll interval a timer
 * does, so that ended containers are read before they are forgotten.
 */
import { basename } from "node:path";
import { CgroupFiles } from "./cgroup/files.ts";
import { type ContainerCgroup, type Names, namesAmong, PodTree } from "./cgroup/hierarchy.ts";
import { TargetIndex } from "./cgroup/targets.ts";
import type { Collector, Cycle } from "./collectors/collector.ts";
import type { Discovery } from "./discovery/discovery.ts";
import type { Pod } from "./discovery/pod.ts";
import type { Logger } from "./log.ts";
import type { Family } from "./metrics/family.ts";
import {
  buildFamilies,
  type BuildInfo,
  collectorFamilies,
  type CollectorRun,
  CycleDurations,
  discoveryFamilies,
  programFamilies,
} from "./metrics/self.ts";
import { SeriesLimits, type SeriesLimitsOptions } from "./metrics/series_limits.ts";
import type { ProgramOptions, Programs } from "./native/programs.ts";
import { causeIn, Trouble } from "./trouble.ts";

/** The loaded eBPF programs. */
export type LoadedPrograms = Pick<Programs, keyof Programs>;

export interface AgentOptions {
  readonly node: string;
  readonly cgroupRoot: string;
  readonly pollIntervalMs: number;
  readonly kubeletPollIntervalMs: number;
  readonly collectors: readonly Collector[];
  /** Which pods get series. @default all */
  readonly includes?: (pod: Pod) => boolean;
  /** Loads the eBPF programs that watch a kubepods root; `undefined` with eBPF switched off. */
  readonly loadPrograms: ((kubepods: ProgramOptions["kubepods"]) => LoadedPrograms) | undefined;
  /** Called when the eBPF programs are loaded. @default nothing */
  readonly onLoaded?: (isContainer: (cgroup: bigint) => boolean) => void;
  /** How many series pods may have. @default any number */
  readonly series?: SeriesLimitsOptions;
  readonly build: BuildInfo;
  /** The agent's own process, read anew each cycle. */
  readonly processFamilies: () => readonly Family[];
  /** Whether the kernel keeps the run times of eBPF programs just now. @default never */
  readonly bpfStatisticsOn?: () => boolean;
  /** Milliseconds of a clock that never goes back. @default performance.now */
  readonly now?: () => number;
}

/** What one cycle found out. */
export interface Snapshot {
  /** When the cycle ended, in milliseconds of the agent's clock. */
  readonly time: number;
  readonly families: readonly Family[];
  readonly targets: number;
  readonly runs: readonly CollectorRun[];
}

/** What became of one collector in a cycle. */
interface Ran {
  readonly families: readonly Family[];
  readonly run: CollectorRun;
}

/** A scrape is served a snapshot of at most this age. */
const FRESH_MS = 1000;

/** How many intervals old the last cycle or kubelet answer may be for the agent to be ready. */
const READY_INTERVALS = 3;

export class Agent {
  readonly #options: AgentOptions;
  readonly #discovery: Pick<Discovery, "state" | "pollEarly">;
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #tree: PodTree;
  readonly #index: TargetIndex;
  readonly #files: CgroupFiles;
  readonly #durations = new CycleDurations();
  readonly #limits: SeriesLimits;
  #programs: LoadedPrograms | undefined;
  /** The kubepods root that the programs watch. */
  #watched: bigint | undefined;
  #snapshot: Snapshot | undefined;
  #running: Promise<Snapshot> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStarted = false;
  /** What kept the running cycle from being complete, and what kept the last one. */
  #troubles: string[] = [];
  #reason: string | undefined;
  readonly #incomplete: Trouble;
  /** By the collector's name. */
  readonly #failing: ReadonlyMap<string, Trouble>;
  /** The maps that have refused updates, and how many by the last cycle. */
  readonly #full = new Map<string, { readonly trouble: Trouble; refused: number }>();
  /** Whether the kubelet has ever answered. */
  #hasNames = false;
  /** The cgroups' files being read, in another thread. */
  #reading: Promise<unknown> | undefined;
  /** What the kernel's map of names held when this cycle began. */
  #names: Names & { readonly entries: unknown } = { entries: undefined, ids: [], containers: [] };
  /** Names of ended cgroups that no map held counts of a cycle ago. */
  #unheld = new Set<bigint>();

  constructor(options: AgentOptions, discovery: Pick<Discovery, "state" | "pollEarly">, log: Logger) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#discovery = discovery;
    this.#log = log;
    this.#limits = new SeriesLimits(options.series ?? { maxPerPod: Infinity, max: Infinity });
    this.#incomplete = new Trouble(log, "cycle is complete again");
    this.#failing = new Map(
      options.collectors.map(({ name }) => [name, new Trouble(log, "collector works again", "error")]),
    );
    this.#tree = new PodTree(options.cgroupRoot);
    this.#index = new TargetIndex(options.node, 2 * options.pollIntervalMs, options.includes);
    this.#files = new CgroupFiles([...new Set(options.collectors.flatMap(({ files = [] }) => files))]);
  }

  /** Runs a cycle now, and from then on one whenever there was none for a poll interval. */
  async start(): Promise<void> {
    this.#isStarted = true;
    await this.#cycleOnce();
  }

  /** Ends the cycles and detaches the eBPF programs. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    clearTimeout(this.#timer);
    await this.#running;
    this.#programs?.close();
    this.#programs = undefined;
    this.#files.close();
    this.#tree.close();
  }

  /** Notes the names in an answer of the kubelet: a pod may be gone from its next one before the next cycle. */
  learn(pods: readonly Pod[]): void {
    this.#index.learn(pods, this.#now());
    if (this.#hasNames) return;
    this.#hasNames = true;
    // The cycle at the start had none: what it found is not to wait for the next one.
    if (this.#snapshot !== undefined) void this.#cycleOnce();
  }

  /** A snapshot that is at most a second old. */
  async snapshot(): Promise<Snapshot> {
    const last = this.#snapshot;
    if (last !== undefined && this.#isFresh(last)) return last;
    return await this.#cycleOnce();
  }

  /** Whether kubelet and kernel have been read lately; if not, why, one line each. */
  readiness(): { ready: boolean; reasons: string[] } {
    const { pollIntervalMs, kubeletPollIntervalMs } = this.#options;
    const stale = (what: string, time: number | undefined, intervalMs: number) =>
      staleness(what, time, intervalMs, this.#now());
    const reasons = [
      stale("kubelet's last good answer", this.#discovery.state.answeredAt, kubeletPollIntervalMs),
      stale("last cycle", this.#snapshot?.time, pollIntervalMs),
      this.#reason,
    ].filter((reason) => reason !== undefined);
    return { ready: reasons.length === 0, reasons };
  }

  /** The last snapshot, if there is one, and the programs in use. */
  state(): { snapshot: Snapshot | undefined; programs: LoadedPrograms | undefined } {
    return { snapshot: this.#snapshot, programs: this.#programs };
  }

  #cycleOnce(): Promise<Snapshot> {
    this.#running ??= this.#cycle().finally(() => {
      this.#running = undefined;
      clearTimeout(this.#timer);
      if (!this.#isStarted) return;
      this.#timer = setTimeout(() => void this.#cycleOnce(), this.#options.pollIntervalMs);
    });
    return this.#running;
  }

  async #cycle(): Promise<Snapshot> {
    const began = performance.now();
    this.#troubles = [];
    const last = this.#snapshot;
    // What nobody can be served any more is not held beside what takes its place.
    if (last !== undefined && !this.#isFresh(last)) this.#snapshot = { ...last, families: [] };
    const refreshed = await this.#attempt(() => this.#refresh());
    // Without knowing what exists now, nothing may be taken to be gone.
    if (!refreshed) {
      this.#index.keepUnknown();
      this.#reading = this.#attempt(() => this.#readFiles());
    }
    const { families: collected, runs } = await this.#collect();
    const families = this.#limits.apply(collected);
    await this.#reading;
    if (refreshed) await this.#attempt(() => this.#dropNames());
    this.#durations.observe((performance.now() - began) / 1000);
    const selfFamilies = await this.#selfFamilies(runs);
    const limited = this.#limits.report(this.#now());
    if (limited !== undefined) this.#log.warn(limited.message, limited.fields);
    this.#report(this.#troubles.length === 0 ? undefined : this.#troubles.join("; "));
    this.#snapshot = {
      time: this.#now(),
      targets: this.#index.targets().length,
      families: [...families, ...selfFamilies],
      runs,
    };
    return this.#snapshot;
  }

  #isFresh({ time }: Snapshot): boolean {
    return this.#now() - time < FRESH_MS;
  }

  /** Runs one step of a cycle; what it throws is reported and harms no other step. Returns whether it threw nothing. */
  async #attempt(step: () => unknown): Promise<boolean> {
    try {
      await step();
      return true;
    } catch (error) {
      this.#troubles.push(messageOf(error));
      return false;
    }
  }

  /** Brings targets and programs up to date; where it throws, those of the last cycle stay in use. */
  async #refresh(): Promise<void> {
    const live = this.#tree.containers();
    if (this.#tree.kubepods === undefined) {
      this.#troubles.push("no kubepods cgroup found: is a kubelet running here?");
    }
    const { pods, generation } = this.#discovery.state;
    this.#index.update({ pods, generation, live, counted: this.#countedContainers(), now: this.#now() });
    if (this.#index.wantsPoll) this.#discovery.pollEarly();
    this.#reading = this.#attempt(() => this.#readFiles());
    await this.#attempt(() => this.#watch());
  }

  async #readFiles(): Promise<void> {
    if (this.#tree.hierarchy === undefined) return;
    await this.#files.refresh(
      this.#tree.hierarchy,
      this.#index.live().filter(({ target }) => target !== undefined),
    );
  }

  /** The programs watch one kubepods root: another one, after the kubelet was set up anew, takes them anew. */
  async #watch(): Promise<void> {
    const { loadPrograms } = this.#options;
    const { kubepods } = this.#tree;
    if (kubepods === undefined || loadPrograms === undefined || kubepods.id === this.#watched) return;
    const programs = loadPrograms({ ...kubepods, name: basename(kubepods.path) });
    if (this.#programs !== undefined) {
      // What the earlier ones have counted since the last cycle goes with them.
      await this.#collect();
      this.#programs.close();
    }
    this.#programs = programs;
    this.#watched = kubepods.id;
    this.#log.info("watching pods", { cgroup: kubepods.path });
    for (const { state, signal, program, reason } of programs.states) {
      if (state === "unavailable") this.#log.warn("signal is not available", { signal, program, reason });
    }
    this.#options.onLoaded?.((cgroup) => this.#index.isLive(cgroup));
  }

  #countedContainers(): readonly ContainerCgroup[] {
    const entries = this.#programs?.readMap("cgroups") ?? [];
    if (entries !== this.#names.entries) this.#names = { entries, ...namesAmong(entries) };
    return this.#names.containers;
  }

  /** Runs all collectors, those first that wait for somebody else and those last that somebody else reads for. */
  async #collect(): Promise<{ families: Family[]; runs: CollectorRun[] }> {
    const cycle = { targets: this.#index, files: this.#files, programs: this.#programs };
    const { collectors } = this.#options;
    const running = new Map<Collector, Promise<Ran>>();
    for (const collector of collectors.toSorted((one, other) => turnOf(one) - turnOf(other))) {
      if (collector.files !== undefined) await this.#reading;
      running.set(collector, this.#run(collector, cycle));
    }
    const ran = await Promise.all(collectors.map((collector) => running.get(collector)));
    return {
      families: ran.flatMap((each) => each?.families ?? []),
      runs: ran.flatMap((each) => each?.run ?? []),
    };
  }

  async #run(collector: Collector, cycle: Cycle): Promise<Ran> {
    const { name } = collector;
    const began = performance.now();
    let families: readonly Family[] = [];
    let up = true;
    try {
      const collected = collector.collect(cycle);
      // One that is done need not wait for the others.
      families = collected instanceof Promise ? await collected : collected;
      this.#failing.get(name)?.end(this.#now(), { collector: name });
    } catch (error) {
      up = false;
      const said = messageOf(error);
      this.#failing.get(name)?.report(this.#now(), causeIn(said), "collector failed", {
        collector: name,
        error: said,
      });
    }
    return { families, run: { name, up, seconds: (performance.now() - began) / 1000 } };
  }

  /** Frees the kernel's note of a name when its cgroup is gone and no map holds counts of it any more. */
  #dropNames(): void {
    const programs = this.#programs;
    if (programs === undefined) return;
    const unheld = new Set<bigint>();
    for (const id of this.#names.ids) {
      if (this.#index.isLive(id) || this.#options.collectors.some((collector) => collector.holds?.(id))) {
        continue;
      }
      // A program may just be making an entry for it: gone is what was unheld a cycle ago as well.
      if (this.#unheld.has(id)) {
        programs.deleteEntry("cgroups", new Uint8Array(new BigUint64Array([id]).buffer));
      } else unheld.add(id);
    }
    this.#unheld = unheld;
  }

  async #selfFamilies(runs: readonly CollectorRun[]): Promise<Family[]> {
    const families: Family[] = [
      this.#durations.family(),
      this.#limits.family(),
      ...collectorFamilies(runs),
      ...discoveryFamilies(this.#discovery.state, this.#index.unattributed),
      ...buildFamilies(this.#options.build),
    ];
    const programs = this.#programs;
    const timed = this.#options.bpfStatisticsOn?.() ?? false;
    if (programs !== undefined) {
      await this.#attempt(() => families.push(...programFamilies(programs, timed)));
      await this.#attempt(() => this.#reportFull(programs));
    }
    await this.#attempt(() => families.push(...this.#options.processFamilies()));
    return families;
  }

  /** What a full map refuses is not counted anywhere. */
  #reportFull(programs: LoadedPrograms): void {
    for (const [map, refused] of programs.updateErrors()) {
      const full = this.#full.get(map) ??
        { trouble: new Trouble(this.#log, "map has room again"), refused: 0 };
      if (refused > full.refused) {
        const message = "map is full: what it refuses is not counted; raise KPOD_BPF_MAX_CGROUPS";
        full.trouble.report(this.#now(), map, message, { map, refused });
      } else full.trouble.end(this.#now(), { map });
      full.refused = refused;
      this.#full.set(map, full);
    }
  }

  #report(reason: string | undefined): void {
    this.#reason = reason;
    if (reason === undefined) this.#incomplete.end(this.#now());
    else this.#incomplete.report(this.#now(), causeIn(reason), "cycle is not complete", { reason });
  }
}

function turnOf({ waits = false, files }: Collector): number {
  if (waits) return 0;
  return files === undefined ? 1 : 2;
}

function staleness(
  what: string,
  time: number | undefined,
  intervalMs: number,
  now: number,
): string | undefined {
  if (time === undefined) return `waiting for the ${what.replace("last ", "first ")}`;
  const age = now - time;
  if (age <= READY_INTERVALS * intervalMs) return undefined;
  return `the ${what} is ${Math.round(age / 1000)} s old, more than ${READY_INTERVALS} intervals`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
