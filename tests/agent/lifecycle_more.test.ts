/** What becomes of pods in the course of their lives, and of their series. */
import assert from "node:assert/strict";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import { LabPod } from "../lab/pods.ts";
import { AgentProcess, Scrape, SHORT_INTERVALS } from "./agent.ts";
import { counted, type Counts, labelsOf, load, LOAD_SETTINGS, mapEntries, plus } from "./load.ts";
import { answered, finish, forget } from "./pod_changes.ts";
import { Scraper } from "./scraper.ts";

const MEBIBYTE = 1 << 20;

/** More than the two intervals after which series of a pod that is gone end. */
const BEYOND_GRACE_CYCLES = 4;

/** Something that happens to a pod, with work before, during and after; what remains of it has done `done`. */
interface Life {
  readonly pod: LabPod;
  readonly done: Counts;
}

/** Adds a pod of that name and lets it live. */
type Story = (node: LabNode, name: string) => Promise<Life>;

function start(node: LabNode): Promise<AgentProcess> {
  return AgentProcess.ready({ ...node.agentEnvironment(), ...LOAD_SETTINGS, ...SHORT_INTERVALS });
}

/** Pods whose series are there in the end. */
const STORIES: Readonly<Record<string, Story>> = {
  async "a Job's pod that has succeeded and is still listed"(node, name) {
    const pod = await node.addPod({ name });
    const done = await load(node, pod.container());
    await finish(node, pod);
    return { pod, done };
  },
  async "a deleted pod whose cgroups are gone and that is still listed"(node, name) {
    const pod = await node.addPod({ name, qosClass: "Guaranteed", containers: ["main", "sidecar"] });
    const before = await load(node, pod.container());
    pod.deletedAt = Date.now();
    await answered(node, 1);
    const done = plus(before, await load(node, pod.container()));
    await finish(node, pod);
    return { pod, done };
  },
  async "a container in CrashLoopBackOff between two instances"(node, name) {
    const pod = await node.addPod({ name });
    const container = pod.container();
    const first = await load(node, container);
    await node.stopContainer(container);
    container.lastState = container.state;
    container.state = { kind: "waiting", reason: "CrashLoopBackOff" };
    await answered(node, 3);
    container.restartCount++;
    node.startContainer(container);
    return { pod, done: plus(first, await load(node, container)) };
  },
  async "a container whose memory limit is changed in place"(node, name) {
    const spec = { name: "main", limits: { memory: "64Mi" } };
    const pod = await node.addPod({ name, containers: [spec] });
    setMemoryLimit(pod, 64 * MEBIBYTE);
    const before = await load(node, pod.container());
    await answered(node, 1);
    spec.limits = { memory: "96Mi" };
    setMemoryLimit(pod, 96 * MEBIBYTE);
    await answered(node, 2);
    return { pod, done: plus(before, await load(node, pod.container())) };
  },
  async "a pod that was listed before it had a cgroup"(node, name) {
    const waiting = new LabPod({ name, containers: [{ name: "main", waiting: "ContainerCreating" }] });
    waiting.phase = "Pending";
    node.pods.push(waiting);
    await answered(node, 2);
    const pod = await node.addPod({ name, uid: waiting.uid });
    forget(node, waiting);
    return { pod, done: await load(node, pod.container()) };
  },
  async "a pod that had cgroups before it was listed"(node, name) {
    const pod = await node.addPod({ name });
    pod.listed = false;
    const before = await load(node, pod.container());
    await answered(node, 2);
    pod.listed = true;
    return { pod, done: plus(before, await load(node, pod.container())) };
  },
  async "a container whose id the kubelet does not know for four answers"(node, name) {
    const pod = await node.addPod({ name });
    const container = pod.container();
    const { id } = container;
    container.id = undefined;
    const before = await load(node, container);
    await answered(node, 4);
    container.id = id;
    return { pod, done: plus(before, await load(node, container)) };
  },
};

Deno.test("series go on through a pod's life, and end after it", needsPrograms, async (t) => {
  await using node = await LabNode.start();
  const other = await node.addPod({ name: "other" });
  await using agent = await start(node);
  const ended = new Set<string>();
  await using scraper = Scraper.start(agent, (pod) => !ended.has(pod));
  const others = await load(node, other.container());
  const lives = new Map(
    await Promise.all(
      Object.entries(STORIES).map(async ([what, live], index) =>
        [what, await live(node, `pod-${index}`)] as const
      ),
    ),
  );
  const all: readonly Life[] = [...lives.values(), { pod: other, done: others }];
  const complete = await scraper.until("all is counted", (scrape) => missing(scrape, all));
  const later = await scraper.until("the grace would be over", (scrape) => {
    assert.equal(missing(scrape, all), true);
    return scrape.cycles >= complete.cycles + BEYOND_GRACE_CYCLES || `${scrape.cycles}`;
  });
  assert.equal(later.sum("kpod_unattributed_cgroups"), 0);
  for (const [what, { pod, done }] of lives) {
    await t.step(what, () => {
      assert.deepEqual(counted(later, labelsOf(pod.container())), done);
      const { spec: { limits }, cgroup } = pod.container();
      const limit = later.find("kpod_mem_limit_bytes", labelsOf(pod.container())).map(({ value }) => value);
      if (limits !== undefined) assert.deepEqual(limit, hasMemoryFiles(cgroup) ? [96 * MEBIBYTE] : []);
    });
  }

  const [gone, kept] = [all.filter(isFinished), all.filter((life) => !isFinished(life))];
  assert.equal(gone.length, 2);
  for (const { pod } of gone) {
    ended.add(pod.spec.name);
    forget(node, pod);
  }
  const end = await scraper.until("the series of pods that are gone end", (scrape) => {
    assert.equal(missing(scrape, kept), true);
    return gone.every(({ pod }) => !scrape.values("pod").has(pod.spec.name)) || "not yet";
  });
  assert.equal(mapEntries(end)["tcp"], kept.length);
});

/** How a pod is followed by one of the same name; both names are the other's only while both are listed. */
const SUCCESSIONS: readonly { what: string; uids: [string, string]; overlap: boolean }[] = [
  { what: "a StatefulSet's pod that is made anew", uids: [uuid(), uuid()], overlap: false },
  { what: "a StatefulSet's pod whose predecessor is still listed", uids: [uuid(), uuid()], overlap: true },
  { what: "a static pod whose manifest has changed", uids: [hash(), hash()], overlap: false },
  { what: "a static pod whose predecessor is still listed", uids: [hash(), hash()], overlap: true },
];

Deno.test("a pod with its predecessor's name has its series, from zero", needsPrograms, async (t) => {
  await using node = await LabNode.start();
  const olds = await Promise.all(
    SUCCESSIONS.map(({ uids: [uid] }, index) => node.addPod({ name: `pod-${index}`, uid })),
  );
  await using agent = await start(node);
  // Its counters may fall, once.
  const scrape = async () => new Scrape(await (await fetch(`${agent.url}/metrics`)).text());
  await using scraper = Scraper.start({ scrape }, () => true);
  const work = (pods: readonly LabPod[]) =>
    Promise.all(pods.map(async (pod) => ({ pod, done: await load(node, pod.container()) })));
  const first = await work(olds);
  await scraper.until("the first are counted", (scrape) => missing(scrape, first));

  const news = await Promise.all(SUCCESSIONS.map(async ({ uids: [, uid], overlap }, index) => {
    const old = olds[index];
    assert.ok(old !== undefined);
    await finish(node, old);
    if (!overlap) forget(node, old);
    return await node.addPod({ name: old.spec.name, uid });
  }));
  const second = await work(news);
  const complete = await scraper.until("the second are counted", (scrape) => missing(scrape, second));
  for (const old of olds.filter((old) => node.pods.includes(old))) forget(node, old);
  const later = await scraper.until("the first are forgotten", (scrape) => {
    assert.equal(missing(scrape, second), true);
    return scrape.cycles >= complete.cycles + BEYOND_GRACE_CYCLES || `${scrape.cycles}`;
  });
  for (const [index, { what }] of SUCCESSIONS.entries()) {
    await t.step(what, () => {
      const { pod, done } = second[index] ?? assert.fail();
      assert.deepEqual(counted(later, labelsOf(pod.container())), done);
    });
  }
  assert.equal(mapEntries(later)["tcp"], news.length);
});

/** True where a scrape has just these counts, else the first that differ. */
function missing(scrape: Scrape, lives: readonly Life[]): true | string {
  for (const { pod, done } of lives) {
    const found = JSON.stringify(counted(scrape, labelsOf(pod.container())));
    if (found !== JSON.stringify(done)) {
      return `${pod.spec.name}: ${found} instead of ${JSON.stringify(done)}`;
    }
  }
  return true;
}

function isFinished({ pod }: Life): boolean {
  return pod.phase === "Succeeded";
}

/** On a hybrid host memory is limited in v1, of which the agent knows nothing. */
function setMemoryLimit(pod: LabPod, bytes: number): void {
  const { cgroup } = pod.container();
  if (hasMemoryFiles(cgroup)) Deno.writeTextFileSync(`${cgroup}/memory.max`, String(bytes));
}

function hasMemoryFiles(cgroup: string | undefined): boolean {
  return cgroup !== undefined && [...Deno.readDirSync(cgroup)].some(({ name }) => name === "memory.max");
}

function uuid(): string {
  return crypto.randomUUID();
}

/** A static pod's uid, as the kubelet makes it of the manifest. */
function hash(): string {
  return uuid().replaceAll("-", "");
}
