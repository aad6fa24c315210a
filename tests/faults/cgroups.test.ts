/** Containers that end between any two steps of a cycle. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Agent, type LoadedPrograms } from "../../src/agent.ts";
import type { Collector } from "../../src/collectors/collector.ts";
import { createCollectors } from "../../src/collectors/list.ts";
import type { DiscoveryState } from "../../src/discovery/discovery.ts";
import { readPods } from "../pods.ts";
import { createLogger } from "../../src/log.ts";
import { Programs } from "../../src/native/programs.ts";
import { COLLECTORS } from "../../src/profiles.ts";
import { syscallNumber } from "../../src/syscalls.ts";
import { Scrape } from "../agent/agent.ts";
import { labelsOf } from "../agent/load.ts";
import { rendered } from "../exposition.ts";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import { type LabContainer, podList } from "../lab/pods.ts";
import type { SyscallCounts, Workload } from "../lab/workload.ts";

const OBJECTS = fileURLToPath(new URL("../../bpf", import.meta.url));
const CALLS = 50;
/** After its end a container's counts are read twice more before the kernel forgets them, and once again. */
const CYCLES_AFTER = 4;
const LIMIT_MS = 10_000;

Deno.test(
  "a container that ends between any two steps of a cycle is counted in full, and disturbs nothing",
  { ...needsPrograms, sanitizeResources: false },
  async () => {
    await using node = await LabNode.start();
    await using cycles = new Cycles(node);
    const container = (await node.addPod({ name: "web", containers: ["main", "other"] })).container("main");
    // A cgroup that has no name makes a cycle ask for one.
    (await node.addPod({ name: "unlisted" })).listed = false;
    await cycles.next();
    const steps = cycles.steps;
    assert.ok(steps > 2 * COLLECTORS.length, `only ${steps} steps`);
    let calls = 0;
    for (const isKnown of [true, false]) {
      for (let step = 0; step < steps; step++) {
        const workload = await node.run(container, ["syscalls"]);
        const { read } = await workload.go<SyscallCounts>(CALLS);
        calls += read.count;
        if (isKnown) await cycles.next();
        let ended = false;
        await cycles.next((now) => {
          if (now !== step) return;
          end(workload, container);
          ended = true;
        });
        assert.ok(ended, `there was no step ${step}`);
        await node.restartContainer(container);
        const what = `${isKnown ? "a known" : "a new"} container that ended at step ${step} of ${steps}`;
        for (let cycle = 0; cycle < CYCLES_AFTER; cycle++) {
          assert.equal(await cycles.next().then((scrape) => readsOf(scrape, container)), calls, what);
        }
        assert.deepEqual(cycles.lines, [], what);
      }
    }
  },
);

/** Kills what runs in a container and takes its cgroup away, all before this returns. */
function end({ pid }: Workload, { cgroup = "" }: LabContainer): void {
  Deno.kill(pid, "SIGKILL");
  const deadline = performance.now() + LIMIT_MS;
  for (;;) {
    try {
      return Deno.removeSync(cgroup);
    } catch (error) {
      if (performance.now() > deadline) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

function readsOf(scrape: Scrape, container: LabContainer): number {
  return scrape.sum("kpod_syscall_count_total", { ...labelsOf(container), syscall: "read" });
}

/** An agent with all collectors and real programs, whose cycles a test can interfere with. */
class Cycles implements AsyncDisposable {
  /** Steps of the last cycle. */
  steps = 0;
  /** Warnings and errors. */
  readonly lines: string[] = [];
  readonly #agent: Agent;
  #now = 0;
  #generation = 0;
  #interfere: (step: number) => void = () => {};

  constructor(node: LabNode) {
    const syscalls = ["read", "write"].map((name) => ({
      name,
      number: syscallNumber(Deno.build.arch, name) ?? -1,
    }));
    const log = createLogger("warn", "text", (line) => void this.lines.push(line));
    const { collectors, signals } = createCollectors({
      collectors: COLLECTORS,
      histogramResolution: "coarse",
      syscalls,
      procRoot: "/proc",
      sysRoot: "/sys",
      log,
    });
    const state = () => this.#state(node);
    this.#agent = new Agent(
      {
        node: node.name,
        cgroupRoot: node.root,
        pollIntervalMs: 30_000,
        kubeletPollIntervalMs: 30_000,
        collectors: collectors.map((collector) => this.#stepped(collector)),
        loadPrograms: (kubepods) =>
          this.#steppedPrograms(
            new Programs({
              directory: OBJECTS,
              signals,
              maxCgroups: 1024,
              syscalls: syscalls.map(({ number }) => number),
              kubepods,
            }),
          ),
        build: { version: "", deno: "", libbpf: "", kernel: "" },
        processFamilies: () => [],
        now: () => this.#now,
      },
      {
        get state() {
          return state();
        },
        pollEarly: () => this.#step(),
      },
      log,
    );
  }

  /** What a cycle serves that `interfere` is called in at each step. */
  async next(interfere: (step: number) => void = () => {}): Promise<Scrape> {
    this.#now += 2_000;
    this.#generation++;
    this.steps = 0;
    this.#interfere = interfere;
    const { families, runs } = await this.#agent.snapshot();
    this.#interfere = () => {};
    assert.deepEqual(runs.filter(({ up }) => !up), []);
    assert.deepEqual(this.#agent.readiness().reasons, []);
    return new Scrape(await rendered(families, "prometheus"));
  }

  #step(): void {
    this.#interfere(this.steps++);
  }

  /** What the kubelet would answer now. */
  #state(node: LabNode): DiscoveryState {
    this.#step();
    const { pods } = readPods(podList(node.pods, node.name, node.runtime));
    return {
      pods,
      lastSuccess: 0,
      answeredAt: this.#now,
      generation: this.#generation,
      errors: new Map(),
      malformed: 0,
    };
  }

  #stepped(collector: Collector): Collector {
    const collect: Collector["collect"] = (cycle) => {
      this.#step();
      return collector.collect(cycle);
    };
    const { files, waits } = collector;
    return {
      name: collector.name,
      ...files === undefined ? {} : { files },
      ...waits === undefined ? {} : { waits },
      collect,
      ...collector.holds === undefined ? {} : { holds: (id) => collector.holds?.(id) ?? false },
    };
  }

  #steppedPrograms(programs: LoadedPrograms): LoadedPrograms {
    return new Proxy(programs, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          this.#step();
          return value.apply(target, args);
        };
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.stop();
  }
}
