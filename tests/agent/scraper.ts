/** A scraper beside a test: once a second, and each scrape is held to what must be true of all of them. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { findDuplicateSeries } from "../exposition.ts";
import type { AgentProcess, Scrape } from "./agent.ts";

const INTERVAL_MS = 1_000;
const LIMIT_MS = 20_000;

/** Counters and histograms: unlike gauges they are also about containers that have ended. */
const GROWS = /_(?:total|bucket|sum|count)$/;

/**
 * Scrapes until it is stopped. No scrape may show a series twice, or lack a counter of the one before while the
 * counter's pod exists.
 */
export class Scraper implements AsyncDisposable {
  /** Scrapes so far. */
  scrapes = 0;
  readonly #agent: Pick<AgentProcess, "scrape">;
  readonly #exists: (pod: string) => boolean;
  readonly #ending = new AbortController();
  readonly #ended: Promise<void>;
  #next = nextScrape();
  /** The counters of the last scrape, with their pods. */
  #counters = new Map<string, string>();

  private constructor(agent: Pick<AgentProcess, "scrape">, exists: (pod: string) => boolean) {
    this.#agent = agent;
    this.#exists = exists;
    this.#ended = this.#run().catch((error) => this.#next.reject(error));
  }

  /** `exists` says whether the node has a pod of that name now. */
  static start(agent: Pick<AgentProcess, "scrape">, exists: (pod: string) => boolean): Scraper {
    return new Scraper(agent, exists);
  }

  /** The next scrape; throws what was wrong with an earlier one. */
  next(): Promise<Scrape> {
    return this.#next.promise;
  }

  /** The first scrape that meets the condition, which returns true or what is lacking. */
  async until(what: string, condition: (scrape: Scrape) => true | string): Promise<Scrape> {
    const deadline = performance.now() + LIMIT_MS;
    for (;;) {
      const scrape = await this.next();
      const result = condition(scrape);
      if (result === true) return scrape;
      if (performance.now() > deadline) throw new Error(`Cannot wait longer until ${what}: got ${result}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const interval = pause(INTERVAL_MS, undefined, { signal }).catch(() => {});
      const scrape = await this.#agent.scrape();
      this.#check(scrape);
      this.scrapes++;
      this.#next.resolve(scrape);
      this.#next = nextScrape();
      await interval;
    }
  }

  #check({ text, series }: Scrape): void {
    assert.deepEqual(findDuplicateSeries(text), []);
    const counters = new Map<string, string>();
    for (const { name, labels } of series) {
      const pod = labels.find(([label]) => label === "pod")?.[1];
      if (pod !== undefined && GROWS.test(name)) counters.set(`${name}${JSON.stringify(labels)}`, pod);
    }
    const lost = [...this.#counters].filter(([key, pod]) => !counters.has(key) && this.#exists(pod));
    assert.deepEqual(lost.map(([key]) => key), [], "series ended although their pods exist");
    this.#counters = counters;
  }
}

function nextScrape() {
  const next = Promise.withResolvers<Scrape>();
  next.promise.catch(() => {});
  return next;
}
