/** The agent as a process of its own, with the permissions it ships with. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type SeriesLine, seriesLines } from "../exposition.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** What the image tells the JavaScript engine. */
const V8_FLAGS = (() => {
  const [, flags] = /^ENV DENO_V8_FLAGS=(\S+)$/m.exec(Deno.readTextFileSync(`${ROOT}/Dockerfile`)) ?? [];
  if (flags === undefined) throw new Error("Cannot find the engine's flags in the Dockerfile");
  return flags;
})();

/** How long anything that must happen may take, on a machine that is busy with other things. */
const LIMIT_MS = 20_000;
const PAUSE_MS = 50;

/** The shortest intervals there are, so that a test sees several of them. */
export const SHORT_INTERVALS = { KPOD_POLL_INTERVAL_MS: "1000", KPOD_KUBELET_POLL_INTERVAL_SECONDS: "1" };

/** Long enough for no regular cycle or poll to happen during a test: only scrapes make cycles then. */
export const NO_TIMER = { KPOD_POLL_INTERVAL_MS: "600000", KPOD_KUBELET_POLL_INTERVAL_SECONDS: "3600" };

export type Labels = Readonly<Record<string, string>>;

/** What one scrape was answered. */
export class Scrape {
  readonly series: readonly SeriesLine[];

  constructor(readonly text: string) {
    this.series = seriesLines(text);
  }

  /** Series of a metric that have at least these labels. */
  find(name: string, labels: Labels = {}): SeriesLine[] {
    const wanted = Object.entries(labels);
    return this.series.filter((series) =>
      series.name === name &&
      wanted.every(([label, value]) => series.labels.some(([key, text]) => key === label && text === value))
    );
  }

  /** Sum over the series of a metric that have at least these labels; 0 where there are none. */
  sum(name: string, labels: Labels = {}): number {
    return this.find(name, labels).reduce((sum, { value }) => sum + value, 0);
  }

  /** Values of one label that occur in any series. */
  values(label: string): Set<string> {
    return new Set(
      this.series.flatMap(({ labels }) =>
        labels.filter(([name]) => name === label).map(([, value]) => value)
      ),
    );
  }

  /** Cycles that the agent had completed. */
  get cycles(): number {
    return this.sum("kpod_collection_duration_seconds_count");
  }
}

/** How a process ended and what it wrote to standard error. */
export interface Ended {
  readonly code: number;
  readonly log: string;
}

/** A running agent. Every scrape also holds it to its promise that no counter ever goes backwards. */
export class AgentProcess implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #ended: Promise<Ended>;
  readonly #listening = Promise.withResolvers<string>();
  readonly #counters = new Map<string, number>();
  #log = "";
  /** `http://127.0.0.1:<port>`, or `https:` where it is that. */
  url = "";

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#ended = this.#readLog();
    this.#listening.promise.catch(() => {});
  }

  /**
   * Starts the agent on a free port of 127.0.0.1 and waits until it listens; throws what it wrote if it ends. `wrapper`
   * is a command that runs another one, which follows.
   */
  static async start(settings: Labels, wrapper: readonly string[] = []): Promise<AgentProcess> {
    return await AgentProcess.listening(spawn({ KPOD_LISTEN_ADDRESS: "127.0.0.1:0", ...settings }, wrapper));
  }

  /** Waits until a process that is the agent, or runs it, listens on 127.0.0.1; throws what it wrote if it ends. */
  static async listening(process: Deno.ChildProcess): Promise<AgentProcess> {
    const agent = new AgentProcess(process);
    agent.url = await agent.#listening.promise;
    return agent;
  }

  /** Starts the agent and waits until it is ready. */
  static async ready(settings: Labels, wrapper: readonly string[] = []): Promise<AgentProcess> {
    const agent = await AgentProcess.start(settings, wrapper);
    try {
      await agent.untilReady();
      return agent;
    } catch (error) {
      await agent[Symbol.asyncDispose]();
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** What it has written to standard error so far. */
  get log(): string {
    return this.#log;
  }

  async readiness(): Promise<{ status: number; text: string }> {
    const response = await fetch(`${this.url}/readyz`);
    return { status: response.status, text: await response.text() };
  }

  async untilReady(): Promise<void> {
    await eventually("the agent is ready", async () => {
      const { status, text } = await this.readiness();
      return status === 200 || text;
    }, { detail: () => this.#log });
  }

  /** The snapshot of now, or of up to a second ago. */
  async scrape(): Promise<Scrape> {
    const response = await fetch(`${this.url}/metrics`);
    const text = await response.text();
    assert.equal(response.status, 200, `${text}\n${this.#log}`);
    const scrape = new Scrape(text);
    this.#checkCounters(scrape);
    return scrape;
  }

  /** A snapshot of a cycle that began after this was called. */
  async fresh(): Promise<Scrape> {
    return await this.after(await this.scrape());
  }

  /** The first snapshot of a later cycle than that of another scrape. */
  async after({ cycles }: Scrape): Promise<Scrape> {
    return await this.until("another cycle", (scrape) => scrape.cycles > cycles);
  }

  /** Scrapes until the condition is met, and returns that scrape. */
  async until(what: string, condition: (scrape: Scrape) => boolean): Promise<Scrape> {
    let scrape = await this.scrape();
    await eventually(what, async () => {
      scrape = await this.scrape();
      return condition(scrape) || scrape.text;
    }, { detail: () => this.#log });
    return scrape;
  }

  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** How it ended, when it has. */
  get ended(): Promise<Ended> {
    return this.#ended;
  }

  /** Sends a signal that asks it to end, and returns how it did; it is killed if it takes too long. */
  async stop(signal: "SIGTERM" | "SIGINT" = "SIGTERM"): Promise<Ended> {
    this.kill(signal);
    const deadline = setTimeout(() => this.kill("SIGKILL"), LIMIT_MS);
    try {
      return await this.#ended;
    } finally {
      clearTimeout(deadline);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#ended;
  }

  async #readLog(): Promise<Ended> {
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) {
      this.#log += text;
      const [, address, scheme] = /"address":"([^"]+)","scheme":"(\w+)"/.exec(this.#log) ?? [];
      if (address !== undefined) this.#listening.resolve(`${scheme}://${address}`);
    }
    const { code } = await this.#process.status;
    this.#listening.reject(new Error(`The agent ended with code ${code}:\n${this.#log}`));
    return { code, log: this.#log };
  }

  #checkCounters(scrape: Scrape): void {
    for (const { name, labels, value } of scrape.series) {
      if (!/_(?:total|bucket|sum|count)$/.test(name)) continue;
      const key = `${name}${JSON.stringify(labels)}`;
      assert.ok(value >= (this.#counters.get(key) ?? 0), `${key} fell to ${value}`);
      this.#counters.set(key, value);
    }
  }
}

/** Runs the agent in a tree of the project's until it ends of itself. */
export async function runAgent(
  settings: Labels,
  { args = [], tree = ROOT, wrapper = [] }: {
    args?: readonly string[];
    tree?: string;
    wrapper?: readonly string[];
  } = {},
): Promise<Ended & { output: string }> {
  const { code, stderr, stdout } = await command(settings, ["mod.ts", ...args], tree, wrapper).output();
  const decoder = new TextDecoder();
  return { code, log: decoder.decode(stderr), output: decoder.decode(stdout) };
}

/** Any module run with just the agent's permissions, and only these of the agent's variables. */
export function command(
  settings: Labels,
  args: readonly string[],
  tree = ROOT,
  wrapper: readonly string[] = [],
): Deno.Command {
  const deno = [Deno.execPath(), "run", "--no-remote", "-P=agent", "--no-prompt", ...args];
  const [program = "", ...programArgs] = [...wrapper, ...deno];
  return new Deno.Command(program, {
    args: programArgs,
    cwd: tree,
    clearEnv: true,
    env: { ...baseEnvironment(), DENO_V8_FLAGS: V8_FLAGS, ...settings },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** This process's environment without the agent's own variables. */
export function baseEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => !/^(?:KPOD|NODE)_/.test(name)),
  );
}

function spawn(settings: Labels, wrapper: readonly string[]): Deno.ChildProcess {
  const process = command(settings, ["mod.ts"], ROOT, wrapper).spawn();
  void process.stdout.cancel();
  return process;
}

/**
 * Tries until a condition returns true; throws what it returned instead, and `detail()`, when that takes longer than
 * `limitMs`.
 */
export async function eventually(
  what: string,
  condition: () => true | string | Promise<true | string>,
  { detail = () => "", limitMs = LIMIT_MS }: { detail?: () => string; limitMs?: number } = {},
): Promise<void> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const result = await condition();
    if (result === true) return;
    if (performance.now() > deadline) {
      throw new Error(`Cannot wait longer until ${what}: got ${result}\n${detail()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** A port of 127.0.0.1 that nothing listens on. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
