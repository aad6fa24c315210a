/** Grafana's dashboards over a real Prometheus that scrapes real agents: whether every panel has something to show. */
import assert from "node:assert/strict";
import { eventually } from "../agent/agent.ts";
import type { Dashboard, Panel, Target } from "./dashboard_schema.ts";
import {
  choices,
  FILES,
  interpolate,
  offeredValues,
  panelsOf,
  queryOf,
  readDashboard,
  type Values,
} from "./dashboards.ts";
import { needsLive, type Query, RANGE, type Sample, withLivePrometheus } from "./live.ts";

/** What Grafana gives a value itself; the whole range holds what happened since the agents started. */
const BUILT_IN: Values = { __rate_interval: RANGE, __range: "5m" };

/** The kernel counts these only while an operator wants it to. */
const STATISTICS = /kpod_bpf_program_run/;
const withoutStatistics = Deno.readTextFileSync("/proc/sys/kernel/bpf_stats_enabled").trim() === "0";

/** A label that only what is unavailable has. */
const EMPTY_WHILE_WELL = "reason";

Deno.test("every query of every dashboard finds series, and every variable values", needsLive, async () => {
  await withLivePrometheus(async (query, { url }) => {
    for (const dashboard of FILES.map(readDashboard)) {
      const offered: Values[] = [];
      for await (const choice of choices(url, dashboard.templating.list, BUILT_IN)) offered.push(choice);
      await assertVariables(url, dashboard, offered);
      for (const panel of panelsOf(dashboard)) {
        for (const target of panel.targets) {
          if (withoutStatistics && STATISTICS.test(target.expr)) continue;
          const what = `${dashboard.uid}: ${panel.title}: ${target.expr}`;
          const samples = await firstFound(query, target, offered, what);
          assertLabels(panel, target, samples, what);
        }
      }
    }
  });
  if (withoutStatistics) {
    console.error("Not tried: the eBPF programs' run times; kernel.bpf_stats_enabled is 0");
  }
});

async function assertVariables(
  url: string,
  { uid, templating }: Dashboard,
  offered: readonly Values[],
): Promise<void> {
  for (const variable of templating.list.filter(({ type }) => type === "query")) {
    const queries = new Set(offered.map((choice) => interpolate(queryOf(variable), choice)));
    const values = await Promise.all([...queries].map((text) => offeredValues(url, text)));
    assert.ok(values.flat().length > 0, `${uid}: no values of ${variable.name}: ${[...queries][0]}`);
  }
}

/** What the query finds with the first choice of variables with which it finds anything. */
async function firstFound(
  query: Query,
  { expr }: Target,
  offered: readonly Values[],
  what: string,
): Promise<Sample[]> {
  let found: Sample[] = [];
  // What is asked for may be about to happen: the demonstration's OOM kill, a kubelet's next answer.
  await eventually(what, async () => {
    for (const choice of offered) {
      found = await query(interpolate(expr, choice));
      if (found.some(({ value }) => Number.isFinite(value))) return true;
    }
    return `no series with any of ${JSON.stringify(offered)}`;
  });
  return found;
}

/** Asserts that legends and columns are of labels that there are, and that no two series look the same. */
function assertLabels(
  { type, transformations }: Panel,
  target: Target,
  samples: readonly Sample[],
  what: string,
): void {
  if (type === "table") {
    const organize = transformations?.find(({ id }) => id === "organize");
    assert.ok(organize?.id === "organize");
    const columns = Object.keys(organize.options.indexByName).filter((name) => !name.startsWith("Value"));
    const labels = new Set([...samples.flatMap(({ labels }) => Object.keys(labels)), EMPTY_WHILE_WELL]);
    assert.deepEqual([...labels].sort(), [...new Set([...columns, EMPTY_WHILE_WELL])].sort(), what);
    return;
  }
  const legend = target.legendFormat ?? "";
  const names = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name ?? "");
  for (const name of names) assert.ok(samples.some(({ labels }) => labels[name]), `${what} has no ${name}`);
  const texts = samples.map(({ labels }) =>
    legend.replaceAll(/\{\{(\w+)\}\}/g, (_, name) => labels[name] ?? "")
  );
  assert.equal(new Set(texts).size, samples.length, `${what} has several series of one legend: ${texts}`);
}
