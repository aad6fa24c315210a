/** Hundreds of containers a minute, each of which says itself what it did. */
import assert from "node:assert/strict";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import { AgentProcess, eventually, type Scrape, SHORT_INTERVALS } from "./agent.ts";
import { counted, labelsOf, load, LOAD_SETTINGS, mapEntries, plus } from "./load.ts";
import { answered, forget } from "./pod_changes.ts";
import { Scraper } from "./scraper.ts";
import { countDescriptors, liveShortly, Totals } from "./totals.ts";

const ROUNDS = 8;
/** Pods that stay and whose containers restart every round. */
const STEADY_PODS = 4;
const STEADY_CONTAINERS = ["a", "b", "c", "d"];
/** Pods that come and go every round: an init container, then the main one. */
const SHORT_PODS = 12;
const TRACKED = LOAD_SETTINGS.KPOD_SYSCALL_TRACKED.split(",").length;
const MEBIBYTE = 1 << 20;

Deno.test(
  "over 300 containers that come and go under a scraper are counted once each and leave nothing",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    const server = await node.addPod({ name: "server" });
    const echo = await node.run(server.container(), ["tcp-server", "127.0.0.1", "0", "--mode", "echo"]);
    const steady = await Promise.all(
      Array.from(
        { length: STEADY_PODS },
        (_, index) =>
          node.addPod({ name: `steady-${index}`, qosClass: "Burstable", containers: STEADY_CONTAINERS }),
      ),
    );
    const containers = steady.flatMap((pod) => pod.containers);
    const totals = new Totals(node, echo.port);
    await using agent = await AgentProcess.ready({
      ...node.agentEnvironment(),
      ...LOAD_SETTINGS,
      ...SHORT_INTERVALS,
    });
    await Promise.all(containers.map((container) => totals.work(container)));
    const before = await agent.until("all is counted", (scrape) => totals.missing(scrape) === true);
    const descriptors = countDescriptors(agent);

    const existing = new Set(["server", ...steady.map(({ spec }) => spec.name)]);
    let ended = 0;
    await using scraper = Scraper.start(agent, (pod) => existing.has(pod));
    for (let round = 0; round < ROUNDS; round++) {
      const names = Array.from({ length: SHORT_PODS }, (_, index) => `job-${round}-${index}`);
      const [pods] = await Promise.all([
        Promise.all(names.map((name) => liveShortly(node, name, totals))),
        Promise.all(containers.map(async (container) => {
          await node.restartContainer(container);
          await totals.work(container);
        })),
      ]);
      for (const name of names) existing.add(name);
      // Of two instances that end between two answers of the kubelet only one has a name.
      await answered(node, 1);
      await scraper.until("all is counted", (scrape) => totals.missing(scrape));
      for (const pod of pods) {
        existing.delete(pod.spec.name);
        forget(node, pod);
        for (const container of pod.containers) totals.forget(container);
      }
      ended += containers.length + pods.flatMap((pod) => pod.containers).length;
    }
    assert.ok(ended >= 300, `only ${ended} containers ended`);

    const present = containers.length + 1;
    const after = await scraper.until("only the present is in the maps", (scrape) => {
      assert.equal(totals.missing(scrape), true);
      const { syscall = 0, ...entries } = mapEntries(scrape);
      // Not every container makes every call.
      return Object.values(entries).every((count) => count === present) && syscall <= present * TRACKED ||
        text(mapEntries(scrape));
    });
    assert.equal(after.sum("kpod_bpf_map_update_errors_total"), 0);
    assert.equal(after.sum("kpod_unattributed_cgroups"), 0);
    await eventually("no descriptor is left over", () => {
      const now = countDescriptors(agent);
      return now <= descriptors || `${now} instead of ${descriptors}`;
    });
    const growth = after.sum("process_resident_memory_bytes") - before.sum("process_resident_memory_bytes");
    assert.ok(growth < 100 * MEBIBYTE, `${growth} bytes more in memory`);
    // What the clients sent is what the server got.
    const { received, passive } = counted(after, labelsOf(server.container()));
    assert.deepEqual({ received, passive }, { received: totals.sent, passive: totals.connections });
  },
);

Deno.test(
  "of the instances that ended between two answers the last is counted, and the others leave nothing",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    const pod = await node.addPod({ name: "crashing", containers: ["main", "other"] });
    const [container, other] = [pod.container("main"), pod.container("other")];
    await using agent = await AgentProcess.ready({
      ...node.agentEnvironment(),
      ...LOAD_SETTINGS,
      ...SHORT_INTERVALS,
      // An ended cgroup is kept for twice as long without a name.
      KPOD_POLL_INTERVAL_MS: "2000",
    });
    const instances = [await load(node, container)];
    const others = await load(node, other);
    const counts = (scrape: Scrape) => text(counted(scrape, labelsOf(container)));
    await agent.until("the first is counted", (scrape) => counts(scrape) === text(instances[0]));
    const entries = mapEntries(await agent.fresh());
    node.kubelet.answer = { kind: "status", status: 503 };
    for (let instance = 1; instance <= 3; instance++) {
      await node.restartContainer(container);
      instances.push(await load(node, container));
    }
    await node.restartContainer(container);
    node.kubelet.answer = { kind: "pods" };
    instances.push(await load(node, container));
    const [first = plus(), , , last = plus(), current = plus()] = instances;
    const named = plus(first, last, current);
    await agent.until("those with a name are counted", (scrape) => counts(scrape) === text(named));
    const after = await agent.until("the others leave the maps", (scrape) => {
      assert.equal(counts(scrape), text(named));
      assert.deepEqual(counted(scrape, labelsOf(other)), others);
      return text(mapEntries(scrape)) === text(entries);
    });
    assert.equal(after.sum("kpod_unattributed_cgroups"), 0);
    const done = plus(named, await load(node, container));
    await agent.until("it goes on", (scrape) => counts(scrape) === text(done));
  },
);

function text(value: unknown): string {
  return JSON.stringify(value);
}
