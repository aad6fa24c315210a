/** When an agent has all that it is to serve. */
import { setTimeout as pause } from "node:timers/promises";
import type { AgentProcess } from "../agent/agent.ts";
import type { Farm } from "./agent_farm.ts";
import { Client } from "./agent_scrape.ts";

const LIMIT_MS = 60_000;
const PAUSE_MS = 20;

/** One series of each for a container: from its cgroup, from the kernel's programs, and through its process. */
const SERIES = ["kpod_mem_usage_bytes", "kpod_cpu_context_switches_total", "kpod_fs_capacity_bytes"];

/** Scrapes until every container is served whole. */
export async function completeScrape(
  agent: AgentProcess,
  farm: Farm,
  interrupted: AbortSignal,
): Promise<string> {
  using client = new Client();
  const deadline = performance.now() + LIMIT_MS;
  for (;;) {
    interrupted.throwIfAborted();
    const { text } = await client.scrape(`${agent.url}/metrics`);
    const missing = SERIES.find((name) => !isWhole(text, name, farm.containers));
    if (missing === undefined) return text;
    if (performance.now() > deadline) {
      throw new Error(`Cannot wait longer for all containers: some lack ${missing}\n${agent.log}`);
    }
    await pause(PAUSE_MS);
  }
}

/** Whether so many containers have series of that name, as many each as any other. */
export function isWhole(text: string, name: string, containers: number): boolean {
  const counts = new Map<string, number>();
  const series = text.matchAll(
    new RegExp(`^${name}\\{namespace="(.*?)",pod="(.*?)",container="(.*?)"`, "gm"),
  );
  for (const [, ...labels] of series) {
    const container = labels.join("/");
    counts.set(container, (counts.get(container) ?? 0) + 1);
  }
  return counts.size === containers && new Set(counts.values()).size === 1;
}
