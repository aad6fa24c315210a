/** Containers and pods that come, restart and go. */
import assert from "node:assert/strict";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import { Workload } from "../lab/workload.ts";
import { AgentProcess, eventually, NO_TIMER, type Scrape, SHORT_INTERVALS } from "./agent.ts";
import { assertCounted, counted, labelsOf, load, LOAD_SETTINGS, mapEntries, plus } from "./load.ts";
import { answered } from "./pod_changes.ts";

function watch(node: LabNode, settings: Readonly<Record<string, string>> = SHORT_INTERVALS) {
  return AgentProcess.ready({ ...node.agentEnvironment(), ...LOAD_SETTINGS, ...settings });
}

Deno.test("a container that came and went between two cycles is counted in full", needsPrograms, async () => {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "job", qosClass: "Burstable" });
  await using agent = await watch(node, NO_TIMER);
  const before = await agent.scrape();
  const done = await load(node, pod.container());
  await node.stopContainer(pod.container(), { exitCode: 0, reason: "Completed" });
  const after = await agent.after(before);
  assert.equal(after.cycles, before.cycles + 1, "a cycle ran while the container lived");
  assert.deepEqual(counted(after, labelsOf(pod.container())), done);
});

Deno.test(
  "a pod that one answer of the kubelet listed, between two cycles, is counted in full",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    await node.addPod({ name: "other" });
    await using agent = await watch(node, { ...NO_TIMER, KPOD_KUBELET_POLL_INTERVAL_SECONDS: "1" });
    const before = await agent.scrape();
    const pod = await node.addPod({ name: "job" });
    const done = await load(node, pod.container());
    await answered(node, 1);
    await node.removePod(pod);
    // The agent has the first of two without the pod before it asks for the second.
    await answered(node, 2);
    const after = await agent.after(before);
    assert.equal(after.cycles, before.cycles + 1, "a cycle ran while the pod lived");
    assert.deepEqual(counted(after, labelsOf(pod.container())), done);
  },
);

Deno.test(
  "a container that came and went before the kubelet listed its pod is counted in full",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    await node.addPod({ name: "other" });
    await using agent = await watch(node, NO_TIMER);
    const pod = await node.addPod({ name: "job", qosClass: "Guaranteed" });
    const done = await load(node, pod.container());
    await node.stopContainer(pod.container(), { exitCode: 0, reason: "Completed" });
    const named = (scrape: Scrape) => scrape.sum("kpod_syscall_count_total", labelsOf(pod.container())) > 0;
    assert.deepEqual(
      counted(await agent.until("the job has its name", named), labelsOf(pod.container())),
      done,
    );
  },
);

Deno.test(
  "a container's restarts are one series with the sum of all its instances",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    const pod = await node.addPod({ name: "web", containers: ["app", "proxy"] });
    const app = pod.container("app");
    await using agent = await watch(node);
    const proxied = await load(node, pod.container("proxy"));
    let done = await load(node, app);
    const entries = mapEntries(await assertCounted(agent, app, done));
    for (let instance = 1; instance <= 2; instance++) {
      await node.restartContainer(app);
      done = plus(done, await load(node, app));
      await assertCounted(agent, app, done);
    }
    // The earlier instances are then the agent's to remember, and no longer the kernel's.
    const scrape = await agent.until("the maps hold one instance", (scrape) => {
      assert.deepEqual(counted(scrape, labelsOf(app)), done);
      return JSON.stringify(mapEntries(scrape)) === JSON.stringify(entries);
    });
    assert.equal(scrape.find("kpod_cpu_context_switches_total", labelsOf(app)).length, 1);
    assert.deepEqual(counted(scrape, labelsOf(pod.container("proxy"))), proxied);
  },
);

Deno.test("a restarted kubelet that lists no pods at first ends no series", needsPrograms, async () => {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "web" });
  await using agent = await watch(node);
  let done = await load(node, pod.container());
  node.kubelet.answer = { kind: "empty" };
  const empty = await agent.until("the list is empty", (scrape) => scrape.sum("kpod_discovery_pods") === 0);
  done = plus(done, await load(node, pod.container()));
  // Twice the grace after which an unlisted pod would be gone, were its cgroup gone too.
  const later = await agent.until("four intervals are over", ({ cycles }) => cycles >= empty.cycles + 4);
  assert.deepEqual(counted(later, labelsOf(pod.container())), done);
  node.kubelet.answer = { kind: "pods" };
  await agent.until("it is listed again", (scrape) => scrape.sum("kpod_discovery_pods") === 1);
  done = plus(done, await load(node, pod.container()));
  await assertCounted(agent, pod.container(), done);
});

Deno.test(
  "a removed pod's series end after the grace, and the maps have room again",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    const kept = await node.addPod({ name: "kept" });
    await using agent = await watch(node);
    const done = await load(node, kept.container());
    const before = await assertCounted(agent, kept.container(), done);
    const gone = await node.addPod({ name: "gone" });
    const last = await load(node, gone.container());
    const container = labelsOf(gone.container());
    await agent.until("it is counted", (scrape) => scrape.sum("kpod_syscall_count_total", container) > 0);
    await node.removePod(gone);
    const removed = performance.now();
    let ended = removed;
    const end = await agent.until("its series end", (scrape) => {
      if (scrape.find("kpod_cpu_context_switches_total", container).length === 0) return true;
      ended = performance.now();
      assert.deepEqual(counted(scrape, container), last);
      return false;
    });
    assert.ok(ended - removed > 1_000, `its series ended after ${ended - removed} ms`);
    assert.ok(!end.text.includes(`pod="gone"`));
    await agent.until(
      "its entries leave the maps",
      (scrape) => JSON.stringify(mapEntries(scrape)) === JSON.stringify(mapEntries(before)),
    );
    await assertCounted(agent, kept.container(), done);
  },
);

Deno.test(
  "a cgroup without a name gets one by early polls, one a second at most, and loses nothing",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    await node.addPod({ name: "other" });
    await using agent = await watch(node, { ...SHORT_INTERVALS, KPOD_KUBELET_POLL_INTERVAL_SECONDS: "3600" });
    const late = await node.addPod({ name: "late" });
    late.listed = false;
    let done = await load(node, late.container());
    const { requests } = node.kubelet;
    const began = performance.now();
    const unnamed = await agent.until("it is polled for", (scrape) => {
      const seconds = (performance.now() - began) / 1_000;
      assert.ok(node.kubelet.requests - requests <= seconds + 1, `${node.kubelet.requests} in ${seconds} s`);
      return node.kubelet.requests >= requests + 3 && scrape.sum("kpod_unattributed_cgroups") > 0;
    });
    assert.ok(!unnamed.text.includes(`pod="late"`));
    done = plus(done, await load(node, late.container()));
    late.listed = true;
    const named = await agent.until("it has its name", (scrape) => scrape.text.includes(`pod="late"`));
    assert.deepEqual(counted(named, labelsOf(late.container())), done);
    assert.equal(named.sum("kpod_unattributed_cgroups"), 0);
    let last = -1;
    await eventually("the polls end", async () => {
      const before = last;
      await agent.fresh();
      last = node.kubelet.requests;
      return before === last || `${last} requests`;
    });
  },
);

Deno.test("the pause container appears nowhere, whatever it does", needsPrograms, async () => {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "web", containers: ["app", "proxy"] });
  await using agent = await watch(node);
  const done = await load(node, pod.container("app"));
  await using busy = await Workload.start(["syscalls"], { cgroups: [pod.sandboxCgroup] });
  await busy.go(1_000);
  const scrape = await assertCounted(agent, pod.container("app"), done);
  assert.deepEqual([...scrape.values("container")].sort(), ["app", "proxy"]);
  assert.deepEqual([...scrape.values("pod")], ["web"]);
  assert.equal(counted(scrape, {}).reads, done.reads);
});

Deno.test("processes in cgroups below a container's own count as the container", needsPrograms, async () => {
  const id = "0123456789abcdef".repeat(4);
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "nested", qosClass: "Burstable" });
  await using agent = await watch(node);
  let done = await load(node, pod.container());
  for (
    const below of [
      "init.scope",
      `docker/${id}`,
      `kubepods.slice/kubepods-pod1.slice/cri-containerd-${id}.scope`,
    ]
  ) done = plus(done, await load(node, pod.container(), { below }));
  const scrape = await assertCounted(agent, pod.container(), done);
  assert.deepEqual([...scrape.values("container")], ["main"]);
});
