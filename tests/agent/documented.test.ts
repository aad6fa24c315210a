/** What a real agent serves over real programs and processes, held against docs/metrics.md. */
import assert from "node:assert/strict";
import { GROUPS } from "../../docs/generate.ts";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import { servedFamilies } from "../served_families.ts";
import { AgentProcess } from "./agent.ts";
import { goldenPath } from "./golden_file.ts";
import { load } from "./load.ts";

const METRICS = new Map(GROUPS.flatMap(({ metrics }) => metrics).map((metric) => [metric.name, metric]));

/** Not always there. */
const SOMETIMES: Readonly<Record<string, string>> = {
  kpod_bpf_program_run_seconds_total: "only while kernel.bpf_stats_enabled is on",
  kpod_bpf_program_runs_total: "only while kernel.bpf_stats_enabled is on",
  kpod_web_config_last_reload_successful: "only with a web configuration file",
  kpod_web_config_last_reload_success_timestamp_seconds: "only with a web configuration file",
};

Deno.test("an agent serves the documented metrics and no others, as documented", needsPrograms, async () => {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "web", ownNetwork: true });
  const other = await node.addPod({ name: "db", ownNetwork: true });
  await node.link(pod, other);
  await using agent = await AgentProcess.ready({
    ...node.agentEnvironment(),
    KPOD_PROFILE: "comprehensive",
  });
  await load(node, pod.container());
  // A process to look at the pod's interfaces and filesystems through.
  await using _running = await node.run(pod.container(), ["switch"]);
  const { text } = await agent.fresh();
  const families = servedFamilies(text);
  for (const { name, type, help, labels } of families) {
    const metric = METRICS.get(name);
    assert.ok(metric !== undefined, `${name} is not documented`);
    assert.deepEqual([type, help, labels], [metric.type, metric.help, [metric.labels.join(",")]], name);
  }
  // This machine's cgroups may lack a controller, whose files then are in the other expositions alone.
  const golden = ["node.prom", "reference_pod.prom"].map((name) => Deno.readTextFileSync(goldenPath(name)));
  const served = new Set([...families, ...golden.flatMap(servedFamilies)].map(({ name }) => name));
  const missing = [...METRICS.keys()].filter((name) => !served.has(name) && !(name in SOMETIMES));
  assert.deepEqual(missing, [], "documented, but served nowhere");
});
