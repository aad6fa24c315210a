/** What a scraper gets: every profile in both formats. */
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { findDuplicateSeries, openMetricsErrors } from "../exposition.ts";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import { AgentProcess, type Labels, NO_TIMER, Scrape } from "./agent.ts";
import { load } from "./load.ts";
import { isOnPath } from "./prometheus.ts";

const HAS_PROMTOOL = isOnPath("promtool");
const OPEN_METRICS = "application/openmetrics-text; version=1.0.0";

const SELF_METRICS = [
  "kpod_bpf_map_entries",
  "kpod_bpf_map_capacity",
  "kpod_bpf_map_memory_bytes",
  "kpod_bpf_map_update_errors_total",
  "kpod_bpf_program_info",
  "kpod_collection_duration_seconds_count",
  "kpod_collector_duration_seconds",
  "kpod_collector_up",
  "kpod_discovery_pods",
  "kpod_discovery_last_success_timestamp_seconds",
  "kpod_discovery_errors_total",
  "kpod_unattributed_cgroups",
  "kpod_series_dropped",
  "kpod_build_info",
  "process_cpu_seconds_total",
  "process_resident_memory_bytes",
  "process_start_time_seconds",
];

/** Settings, a series that they add and one that they leave out. */
const PROFILES: readonly (readonly [settings: Labels, added: string, absent?: string])[] = [
  [{ KPOD_PROFILE: "minimal" }, "kpod_mem_oom_kills_total", "kpod_net_tcp_bytes_sent_total"],
  [{ KPOD_PROFILE: "standard" }, "kpod_net_tcp_rtt_seconds_bucket", "kpod_syscall_count_total"],
  [
    { KPOD_PROFILE: "custom", KPOD_COLLECTORS: "page_faults,oom" },
    "kpod_mem_major_page_faults_total",
    "kpod_cpu_context_switches_total",
  ],
  [
    { KPOD_PROFILE: "comprehensive", KPOD_HISTOGRAM_RESOLUTION: "fine" },
    "kpod_syscall_errors_total",
  ],
];

for (const [settings, added, absent] of PROFILES) {
  const name = Object.values(settings).join(", ");
  Deno.test(`the exposition of ${name} is clean in both formats`, needsPrograms, async (t) => {
    await using node = await LabNode.start();
    const pod = await node.addPod({ name: "web", namespace: "shop", containers: ["app", "proxy"] });
    await using agent = await AgentProcess.ready({ ...node.agentEnvironment(), ...NO_TIMER, ...settings });
    await Promise.all(pod.containers.map((container) => load(node, container)));
    const { text, series } = await agent.fresh();
    const names = new Set(series.map((each) => each.name));
    for (const expected of [added, ...SELF_METRICS]) assert.ok(names.has(expected), expected);
    assert.ok(absent === undefined || !names.has(absent), absent);
    await t.step({
      name: "promtool has nothing to say",
      ignore: !HAS_PROMTOOL,
      fn: async () => assert.equal(await promtool(text), ""),
    });
    assert.deepEqual(findDuplicateSeries(text), []);
    assert.deepEqual(undescribed(text), []);
    const open = await fetch(`${agent.url}/metrics`, { headers: { accept: OPEN_METRICS } });
    assert.match(open.headers.get("content-type") ?? "", /^application\/openmetrics-text; ?version=1\.0\.0/);
    assert.deepEqual(openMetricsErrors(await open.text()), []);
  });
}

Deno.test(
  "every path, format and encoding serves the same snapshot, and concurrent scrapes share a cycle",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    await node.addPod({ name: "web" });
    await using agent = await AgentProcess.ready({
      ...node.agentEnvironment(),
      ...NO_TIMER,
      KPOD_PROFILE: "comprehensive",
    });
    const before = await agent.scrape();
    const get = async (path: string, headers: Labels = {}) => await fetch(`${agent.url}${path}`, { headers });
    const text = async (response: Promise<Response>) => await (await response).text();
    const [first = "", ...same] = await Promise.all([
      text(get("/metrics")),
      text(get("/actuator/prometheus")),
      text(get("/metrics", { "accept-encoding": "identity" })),
      text(get("/metrics", { "accept-encoding": "gzip" })),
      ...Array.from({ length: 20 }, () => text(get("/metrics"))),
    ]);
    for (const other of same) assert.equal(other, first);
    const later = await agent.after(new Scrape(first));
    assert.ok(new Scrape(first).cycles - before.cycles <= 1);
    assert.equal(later.cycles, new Scrape(first).cycles + 1);
    const response = await rawGet(agent.url, "/metrics");
    assert.match(response.head, /content-encoding: gzip/i);
    const unpacked = new TextDecoder().decode(gunzipSync(response.body));
    assert.ok(unpacked.startsWith("# HELP") && response.body.length < unpacked.length / 4);
  },
);

/** Lints by Prometheus' own tool; returns what it has to say. */
async function promtool(text: string): Promise<string> {
  const process = new Deno.Command("promtool", {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { code, stdout, stderr } = await process.output();
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  return code === 0 ? said : `code ${code}: ${said}`;
}

/** Names of series whose family has no HELP or no TYPE. */
function undescribed(text: string): string[] {
  const described = (keyword: string) =>
    new Set([...text.matchAll(new RegExp(`^# ${keyword} (\\S+) \\S`, "gm"))].map(([, name]) => name));
  const [help, type] = [described("HELP"), described("TYPE")];
  return [...new Set(new Scrape(text).series.map(({ name }) => name))].filter((name) => {
    const names = [name, name.replace(/_(?:bucket|sum|count)$/, "")];
    return !names.some((each) => help.has(each) && type.has(each));
  });
}

/** GET with gzip, and the answer as it came: fetch would unpack it. */
async function rawGet(url: string, path: string): Promise<{ head: string; body: Uint8Array }> {
  const { hostname, port } = new URL(url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const request = `GET ${path} HTTP/1.1\r\nHost: agent\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const answer = new Uint8Array(await new Response(connection.readable).arrayBuffer());
  const end = answer.findIndex((_, at) => String.fromCharCode(...answer.subarray(at, at + 4)) === "\r\n\r\n");
  return { head: new TextDecoder().decode(answer.subarray(0, end)), body: answer.subarray(end + 4) };
}
