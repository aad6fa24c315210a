/** What is wrong with what the agents serve, one sentence for each problem. */
import { COLLECTOR_ENTRIES } from "../../src/collectors/list.ts";
import { isOlder, parseRelease } from "../../src/doctor/kernel.ts";
import { CYCLE, DISCOVERY, PROGRAMS } from "../../src/metrics/self.ts";
import { type SeriesLine, seriesLines } from "../exposition.ts";

/** What one agent answered. */
export interface Served {
  readonly node: string;
  readonly text: string;
}

/** Families that a cluster may lack although all is well, and why. */
const MAY_BE_ABSENT: Readonly<Record<string, string>> = {
  kpod_mem_swap_bytes: "the kernel may keep no account of swap",
  kpod_bpf_program_run_seconds_total: "only while kernel.bpf_stats_enabled is on",
  kpod_bpf_program_runs_total: "only while kernel.bpf_stats_enabled is on",
};

/** From this kernel on each signal has a hook. */
const ALL_SIGNALS = [6, 8] as const;

/** The families that agents with these collectors serve, those that may be absent aside. */
export function expectedFamilies(collectors: readonly string[]): string[] {
  const entries = COLLECTOR_ENTRIES.filter(({ name }) => collectors.includes(name));
  return [...entries.flatMap(({ descriptors }) => descriptors), ...CYCLE, ...DISCOVERY, ...PROGRAMS]
    .map(({ name }) => name).filter((name) => !(name in MAY_BE_ABSENT));
}

/** What is wrong with the answers of all agents, which run these collectors, taken together and one by one. */
export function expositionProblems(agents: readonly Served[], collectors: readonly string[]): string[] {
  const all = agents.map(({ node, text }) => ({ node, series: seriesLines(text) }));
  const names = new Set(all.flatMap(({ series }) => series.map(({ name }) => name)));
  const missing = expectedFamilies(collectors).filter((family) =>
    !names.has(family) && !names.has(`${family}_count`)
  );
  return [
    ...(agents.length === 0 ? ["no agent has answered"] : []),
    ...missing.map((family) => `no agent has a series of ${family}`),
    ...all.flatMap(({ node, series }) =>
      agentProblems(node, series, collectors).map((problem) => `agent on ${node}: ${problem}`)
    ),
    ...podsOfSeveral(all),
  ];
}

/** What is wrong with one agent's answer. */
function agentProblems(node: string, series: readonly SeriesLine[], collectors: readonly string[]): string[] {
  const of = (name: string) => series.filter((each) => each.name === name);
  const sum = (name: string) => of(name).reduce((sum, { value }) => sum + value, 0);
  const up = of("kpod_collector_up");
  const others = new Set(series.flatMap((each) => label(each, "node") ?? []).filter((name) => name !== node));
  const refused = of("kpod_bpf_map_update_errors_total").filter(({ value }) => value > 0);
  return [
    ...collectors.filter((name) => !up.some((each) => label(each, "collector") === name && each.value === 1))
      .map((name) => `collector ${name} is not up`),
    ...up.map((each) => label(each, "collector") ?? "").filter((name) => !collectors.includes(name))
      .map((name) => `collector ${name} runs, which it should not`),
    ...unavailable(of("kpod_bpf_program_info"), of("kpod_build_info")),
    ...[...others].map((name) => `it has series of node ${name}`),
    ...refused.map((each) => `map ${label(each, "map")} refused ${each.value} updates`),
    ...(sum("kpod_discovery_pods") > 0 ? [] : ["the kubelet has told it of no pods"]),
    ...(sum("kpod_unattributed_cgroups") === 0
      ? []
      : [`${sum("kpod_unattributed_cgroups")} cgroups are of pods it does not know`]),
  ];
}

/** Signals that this kernel should deliver and does not. */
function unavailable(programs: readonly SeriesLine[], build: readonly SeriesLine[]): string[] {
  const version = parseRelease(build.flatMap((each) => label(each, "kernel") ?? [])[0] ?? "");
  if (version !== undefined && isOlder(version, ALL_SIGNALS)) return [];
  return programs.filter((each) => label(each, "state") !== "attached").map((each) =>
    `signal ${label(each, "signal")} is unavailable: ${label(each, "reason")}`
  );
}

/** A pod is on one node: two agents that both have it are counting one another's. */
function podsOfSeveral(agents: readonly { node: string; series: readonly SeriesLine[] }[]): string[] {
  const nodes = new Map<string, Set<string>>();
  for (const { node, series } of agents) {
    for (const each of series) {
      const pod = label(each, "pod");
      if (pod === undefined) continue;
      const name = `${label(each, "namespace")}/${pod}`;
      nodes.set(name, (nodes.get(name) ?? new Set()).add(node));
    }
  }
  return [...nodes].filter(([, of]) => of.size > 1)
    .map(([pod, of]) => `the agents on ${[...of].join(" and ")} both have series of ${pod}`);
}

/** Those of these metrics that no pod of the namespace has moved. */
export function unmovedProblems(
  agents: readonly Served[],
  namespace: string,
  metrics: readonly string[],
): string[] {
  const moved = new Set(
    agents.flatMap(({ text }) => seriesLines(text))
      .filter((each) => label(each, "namespace") === namespace && each.value > 0).map(({ name }) => name),
  );
  return metrics.filter((metric) => !moved.has(metric) && !moved.has(`${metric}_count`))
    .map((metric) => `${metric} of all pods in ${namespace} is 0`);
}

function label({ labels }: SeriesLine, name: string): string | undefined {
  return labels.find(([key]) => key === name)?.[1];
}
