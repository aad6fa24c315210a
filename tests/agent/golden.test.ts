/** The whole output of the agent over the files of a real node, through the native library as it ships. */
import assert from "node:assert/strict";
import { findDuplicateSeries } from "../exposition.ts";
import { createCertificates } from "../lab/certificates.ts";
import { Kubelet } from "../lab/kubelet.ts";
import { AgentProcess, type Labels, NO_TIMER, ROOT, Scrape } from "./agent.ts";
import { assertGolden, assertLinted, goldenPath, needsPromtool } from "./golden_file.ts";

const GOLDEN = "node.prom";
const NODE = `${ROOT}/tests/fixtures/kubelet-1.36/systemd/steady`;
const TOKEN = "golden";

/** All collectors of files but `filesystem`: a file cannot say how full a filesystem is. */
const COLLECTORS = "disk,interface,cpu,memory,pressure,pids";

/** Families whose values are of the run and the machine. */
const VARYING =
  /^(?:process_\w+|kpod_(?:collection_duration_seconds_\w+|collector_duration_seconds|discovery_last_success_timestamp_seconds))$/;

async function scrapeNode(): Promise<string> {
  const directory = await Deno.makeTempDir();
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  const certificates = await createCertificates(directory, "node1");
  const pods = JSON.parse(Deno.readTextFileSync(`${NODE}/pods.json`));
  const kubelet = cleanup.use(Kubelet.start({ pods: () => pods, certificates, token: TOKEN }));
  Deno.writeTextFileSync(`${directory}/token`, TOKEN);
  Deno.writeTextFileSync(`${directory}/ca.crt`, certificates.ca);
  const agent = cleanup.use(
    await AgentProcess.ready({
      ...NO_TIMER,
      NODE_NAME: "node1",
      KPOD_KUBELET_URL: kubelet.url,
      KPOD_KUBELET_TOKEN_FILE: `${directory}/token`,
      KPOD_KUBELET_CA_FILE: `${directory}/ca.crt`,
      KPOD_CGROUP_ROOT: `${NODE}/tree/sys/fs/cgroup`,
      KPOD_PROC_ROOT: `${NODE}/proc`,
      KPOD_SYS_ROOT: `${NODE}/tree/sys`,
      KPOD_BPF_ENABLED: "false",
      KPOD_PROFILE: "custom",
      KPOD_COLLECTORS: COLLECTORS,
      // The pod in the host's network is in kube-system.
      KPOD_FILTER_EXCLUDE_NAMESPACES: "none",
    }),
  );
  return (await agent.fresh()).text;
}

/**
 * What does not vary by run: series in order, as those of a directory are not, values of time and machine 0, versions
 * empty.
 */
function normalized(text: string): string {
  const families = text.split(/^(?=# HELP )/m).map((family) => {
    const lines = family.trimEnd().split("\n");
    const comments = lines.filter((line) => line.startsWith("#"));
    const series = lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => {
      const [name = ""] = line.split(/[{ ]/, 1);
      if (name === "kpod_build_info") return line.replace(/="[^"]*"/g, '=""');
      return VARYING.test(name) ? line.replace(/ \S+$/, " 0") : line;
    });
    // Buckets have an order of their own, and the only histogram has no labels.
    return [...comments, ...family.includes(" histogram\n") ? series : series.sort()].join("\n");
  });
  return `${families.join("\n\n")}\n`;
}

Deno.test("the agent's whole output over a real node's files is the committed one", async () => {
  const text = await scrapeNode();
  assert.deepEqual(findDuplicateSeries(text), []);
  assertGolden(GOLDEN, normalized(text));
});

Deno.test("promtool finds nothing to say about it", needsPromtool, () => assertLinted(GOLDEN));

const SIDE = { pod: "guaranteed-node1", container: "side" };
const SIDECAR_MAIN = { pod: "sidecar-node1", container: "main" };
const LIMITED = { pod: "guaranteed-node1", container: "main" };
const HOST = { pod: "hostnet-node1", container: "agent" };
const WRITER = { pod: "web-node1", container: "writer" };

/**
 * What the kubelet's own cAdvisor and summary said of the same containers within half a minute, of those values that
 * did not change in that time: idle containers' all, a busy one's memory.
 */
const CADVISOR: readonly (readonly [name: string, labels: Labels, value: number])[] = [
  ["kpod_cpu_usage_seconds_total", SIDE, 0.223321],
  ["kpod_cpu_user_seconds_total", SIDE, 0.099253],
  ["kpod_cpu_system_seconds_total", SIDE, 0.124067],
  ["kpod_cpu_periods_total", SIDE, 14],
  ["kpod_cpu_throttled_periods_total", SIDE, 8],
  ["kpod_cpu_throttled_seconds_total", SIDE, 0.985937],
  ["kpod_mem_usage_bytes", SIDE, 233_472],
  ["kpod_mem_working_set_bytes", SIDE, 225_280],
  ["kpod_mem_rss_bytes", SIDE, 57_344],
  ["kpod_mem_cache_bytes", SIDE, 8_192],
  ["kpod_mem_swap_bytes", SIDE, 0],
  ["kpod_mem_limit_bytes", SIDE, 16_777_216],
  ["kpod_pids_current", SIDE, 1],
  ["kpod_pressure_cpu_waiting_seconds_total", SIDE, 1.507927],
  ["kpod_pressure_cpu_stalled_seconds_total", SIDE, 1.418313],
  ["kpod_pressure_io_waiting_seconds_total", SIDE, 0],
  ["kpod_pressure_memory_stalled_seconds_total", SIDE, 0],
  ["kpod_cpu_usage_seconds_total", SIDECAR_MAIN, 0.2923],
  ["kpod_mem_working_set_bytes", SIDECAR_MAIN, 225_280],
  ["kpod_mem_usage_bytes", LIMITED, 21_610_496],
  ["kpod_mem_working_set_bytes", LIMITED, 21_602_304],
  ["kpod_mem_limit_bytes", LIMITED, 67_108_864],
  ["kpod_pids_current", LIMITED, 3],
  ["kpod_mem_usage_bytes", WRITER, 1_474_560],
  ["kpod_mem_working_set_bytes", WRITER, 413_696],
  ["kpod_mem_rss_bytes", WRITER, 118_784],
  ["kpod_mem_cache_bytes", WRITER, 1_060_864],
  ["kpod_disk_read_bytes_total", { ...WRITER, device: "vda" }, 4_096],
  ["kpod_disk_reads_total", { ...WRITER, device: "vda" }, 1],
  ["kpod_disk_written_bytes_total", { ...HOST, device: "vda" }, 4_096],
  ["kpod_disk_writes_total", { ...HOST, device: "vda" }, 1],
];

Deno.test("its values are those of the kubelet's own cAdvisor, where they did not change meanwhile", () => {
  const golden = new Scrape(Deno.readTextFileSync(goldenPath(GOLDEN)));
  assert.deepEqual(
    CADVISOR.map(([name, labels]) => [name, labels, ...golden.find(name, labels).map(({ value }) => value)]),
    CADVISOR,
  );
});

Deno.test("it has no sandbox, no container without a cgroup, and no interface of the host's network", () => {
  const golden = new Scrape(Deno.readTextFileSync(goldenPath(GOLDEN)));
  const containers = golden.find("kpod_cpu_usage_seconds_total").map(({ labels }) => {
    const { namespace, pod, container } = Object.fromEntries(labels);
    return `${namespace}/${pod}/${container}`;
  });
  assert.deepEqual(containers.sort(), [
    "db/guaranteed-node1/main",
    "db/guaranteed-node1/side",
    "default/sidecar-node1/main",
    "default/sidecar-node1/proxy",
    "kube-system/hostnet-node1/agent",
    "shop/web-node1/server",
    "shop/web-node1/writer",
  ]);
  assert.deepEqual(golden.values("interface"), new Set(["eth0"]));
  assert.deepEqual(golden.find("kpod_net_iface_rx_bytes_total", { pod: "hostnet-node1" }), []);
});
