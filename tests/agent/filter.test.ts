/** Pods that are not asked for. */
import assert from "node:assert/strict";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import type { LabPod } from "../lab/pods.ts";
import { AgentProcess, type Labels, type Scrape, SHORT_INTERVALS } from "./agent.ts";
import { counted, labelsOf, load, LOAD_SETTINGS, plus } from "./load.ts";
import { answered } from "./pod_changes.ts";
import { Scraper } from "./scraper.ts";

/** The kubelet's regular polls are an hour apart: all others the agent makes because it lacks a name. */
const EARLY_POLLS_ONLY = { ...SHORT_INTERVALS, KPOD_KUBELET_POLL_INTERVAL_SECONDS: "3600" };

function start(node: LabNode, settings: Labels): Promise<AgentProcess> {
  return AgentProcess.ready({ ...node.agentEnvironment(), ...LOAD_SETTINGS, ...settings });
}

/** Pods by name; `web` and `cache` are linked by a network. */
const PODS: Readonly<Record<string, { namespace: string; labels: Labels }>> = {
  web: { namespace: "shop", labels: { app: "web", tier: "front" } },
  cache: { namespace: "shop", labels: { app: "cache" } },
  batch: { namespace: "lab", labels: { app: "batch", tier: "back" } },
  proxy: { namespace: "kube-system", labels: { app: "proxy", tier: "back" } },
  info: { namespace: "kube-public", labels: {} },
};

const FILTERS: readonly { settings: Labels; pods: readonly string[] }[] = [
  { settings: {}, pods: ["batch", "cache", "web"] },
  {
    settings: { KPOD_FILTER_EXCLUDE_NAMESPACES: "none" },
    pods: ["batch", "cache", "info", "proxy", "web"],
  },
  { settings: { KPOD_FILTER_EXCLUDE_NAMESPACES: "shop,lab" }, pods: ["info", "proxy"] },
  { settings: { KPOD_FILTER_NAMESPACES: "lab,kube-system" }, pods: ["batch", "proxy"] },
  {
    settings: { KPOD_FILTER_NAMESPACES: "kube-system", KPOD_FILTER_EXCLUDE_NAMESPACES: "kube-system" },
    pods: ["proxy"],
  },
  { settings: { KPOD_FILTER_LABEL_SELECTOR: "tier in (front, back), app!=batch" }, pods: ["web"] },
  { settings: { KPOD_FILTER_NAMESPACES: "nowhere" }, pods: [] },
];

async function startNode(): Promise<{ node: LabNode; pods: ReadonlyMap<string, LabPod> }> {
  await using cleanup = new AsyncDisposableStack();
  const node = cleanup.use(await LabNode.start());
  const pods = new Map<string, LabPod>();
  for (const [name, spec] of Object.entries(PODS)) {
    pods.set(name, await node.addPod({ name, ...spec, ownNetwork: true }));
  }
  const [web, cache] = [pods.get("web"), pods.get("cache")];
  if (web !== undefined && cache !== undefined) await node.link(web, cache);
  cleanup.move();
  return { node, pods };
}

Deno.test("a filtered pod has no series and is not unattributed", needsPrograms, async (t) => {
  const { node, pods } = await startNode();
  await using _node = node;
  await using agents = new AsyncDisposableStack();
  const filtered = await Promise.all(FILTERS.map(async ({ settings, pods }) => ({
    settings,
    reported: pods,
    agent: agents.use(await start(node, { ...SHORT_INTERVALS, ...settings })),
  })));
  const done = new Map(
    await Promise.all(
      [...pods].map(async ([name, pod]) => [name, await load(node, pod.container())] as const),
    ),
  );
  for (const { settings, reported, agent } of filtered) {
    const name = Object.entries(settings).map(([name, value]) => `${name}=${value}`).join(", ") || "default";
    await t.step(`${name}: ${reported.join(", ") || "none"}`, async () => {
      const scrape = await agent.until(
        "all is counted",
        (scrape) =>
          reported.every((pod) => JSON.stringify(counted(scrape, { pod })) === JSON.stringify(done.get(pod))),
      );
      assert.deepEqual(podsOf(scrape), reported);
      assert.equal(scrape.sum("kpod_unattributed_cgroups"), 0);
      assert.equal(scrape.sum("kpod_discovery_pods"), pods.size);
      const linked = scrape.find("kpod_net_iface_rx_bytes_total").flatMap(({ labels }) =>
        labels.filter(([label]) => label === "pod").map(([, pod]) => pod)
      );
      assert.deepEqual(linked.sort(), reported.filter((pod) => pod === "web" || pod === "cache"));
    });
  }
});

Deno.test("filtered pods do not make the agent ask the kubelet", needsPrograms, async () => {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "proxy", namespace: "kube-system" });
  await using agent = await start(node, EARLY_POLLS_ONLY);
  // The first cycle does not wait for the first answer, and asks again.
  await cycles(agent, 2);
  const { requests: first } = node.kubelet;
  assert.ok(first <= 2, `${first} requests`);
  await load(node, pod.container());
  await node.restartContainer(pod.container());
  await load(node, pod.container());
  await cycles(agent, 2);
  assert.equal(node.kubelet.requests, first, "for a pod that is known to be filtered");
  // Until it has been listed nobody knows that it is.
  const late = await node.addPod({ name: "late", namespace: "kube-public" });
  await load(node, late.container());
  await agent.until("it is known", (scrape) => scrape.sum("kpod_discovery_pods") === 2);
  const { requests } = node.kubelet;
  assert.ok(requests <= first + 2, `${requests} requests`);
  const scrape = await cycles(agent, 2);
  assert.equal(node.kubelet.requests, requests, "for a pod that turned out to be filtered");
  assert.deepEqual(podsOf(scrape), []);
  assert.equal(scrape.sum("kpod_unattributed_cgroups"), 0);
});

Deno.test("a label change ends a pod's series, and the change back begins them", needsPrograms, async () => {
  const labels = { app: "web", track: "stable" };
  await using node = await LabNode.start();
  const api = await node.addPod({ name: "api", labels: { track: "stable" } });
  const web = await node.addPod({ name: "web", labels, ownNetwork: true });
  await node.link(web, await node.addPod({ name: "other", ownNetwork: true }));
  await using agent = await start(node, { ...SHORT_INTERVALS, KPOD_FILTER_LABEL_SELECTOR: "track=stable" });
  const both = await load(node, api.container());
  let done = await load(node, web.container());
  const container = labelsOf(web.container());
  await using scraper = Scraper.start(agent, (pod) => pod === "api");
  const isCounted = (scrape: Scrape) => {
    const found = JSON.stringify(counted(scrape, container));
    return found === JSON.stringify(done) || found;
  };
  const first = await scraper.until("it is counted", isCounted);
  assert.deepEqual(podsOf(first), ["api", "web"]);

  labels.track = "canary";
  await scraper.until("its series end", (scrape) => podsOf(scrape).join() === "api" || podsOf(scrape).join());
  done = plus(done, await load(node, web.container()));
  await answered(node, 2);
  const without = await scraper.next();
  assert.deepEqual(podsOf(without), ["api"]);
  assert.equal(without.sum("kpod_unattributed_cgroups"), 0);
  assert.deepEqual(counted(without, labelsOf(api.container())), both);

  labels.track = "stable";
  // The kernel has gone on counting for the container.
  const again = await scraper.until("they begin again", isCounted);
  assert.deepEqual(podsOf(again), ["api", "web"]);
  assert.deepEqual(seriesNames(again, "web"), seriesNames(first, "web"));
  done = plus(done, await load(node, web.container()));
  await scraper.until("they go on", isCounted);
});

/** Waits for that many cycles more. */
async function cycles(agent: AgentProcess, times: number): Promise<Scrape> {
  const enough = (await agent.scrape()).cycles + times;
  return await agent.until(`${times} cycles are over`, (scrape) => scrape.cycles >= enough);
}

function podsOf(scrape: Scrape): string[] {
  return [...scrape.values("pod")].sort();
}

function seriesNames(scrape: Scrape, pod: string): string[] {
  const own = scrape.series.filter(({ labels }) =>
    labels.some(([name, value]) => name === "pod" && value === pod)
  );
  return [...new Set(own.map(({ name }) => name))].sort();
}
