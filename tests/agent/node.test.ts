/** A kubelet that comes and goes, and a kubepods root that does. */
import assert from "node:assert/strict";
import { needsPrograms } from "../kernel/requirements.ts";
import { type Certificates, createCertificates } from "../lab/certificates.ts";
import { Kubelet } from "../lab/kubelet.ts";
import { LabNode } from "../lab/node.ts";
import { podList } from "../lab/pods.ts";
import { AgentProcess, eventually, freePort, NO_TIMER, type Scrape, SHORT_INTERVALS } from "./agent.ts";
import { assertCounted, counted, labelsOf, load, LOAD_SETTINGS, plus } from "./load.ts";

const NAME = "lab-node";

async function makeCertificates(): Promise<Certificates> {
  const directory = await Deno.makeTempDir();
  try {
    return await createCertificates(directory, NAME);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** A kubelet of the node's on a port of its own, so that it can be stopped and started again. */
function startKubelet(node: LabNode, certificates: Certificates, port: number): Kubelet {
  const pods = () => podList(node.pods, node.name, node.runtime);
  return Kubelet.start({ pods, certificates, token: node.kubelet.token, port });
}

Deno.test(
  "the agent serves without a kubelet, is ready when it comes, and goes on when it dies",
  needsPrograms,
  async () => {
    const certificates = await makeCertificates();
    const port = freePort();
    await using node = await LabNode.start({ certificates, name: NAME });
    const container = (await node.addPod({ name: "web" })).container();
    await using agent = await AgentProcess.start({
      ...node.agentEnvironment(),
      ...LOAD_SETTINGS,
      ...SHORT_INTERVALS,
      KPOD_KUBELET_URL: `https://127.0.0.1:${port}`,
    });
    const failures = (scrape: Scrape) => scrape.sum("kpod_discovery_errors_total", { reason: "connect" });
    await agent.until("a failed poll is counted", (scrape) => failures(scrape) > 0);
    assert.deepEqual(await agent.readiness(), {
      status: 503,
      text: "waiting for the kubelet's first good answer\n",
    });
    assert.equal(await fetch(`${agent.url}/healthz`).then((response) => response.text()), "ok\n");
    let done = await load(node, container);
    {
      await using _kubelet = startKubelet(node, certificates, port);
      await agent.untilReady();
      await assertCounted(agent, container, done);
    }
    const died = performance.now();
    const failed = failures(await agent.scrape());
    done = plus(done, await load(node, container));
    await eventually("the agent is no longer ready", async () => {
      const { status, text } = await agent.readiness();
      return /^the kubelet's last good answer is \d+ s old, more than 3 intervals\n$/.test(text) ||
        `${status} ${text}`;
    });
    const seconds = (performance.now() - died) / 1_000;
    assert.ok(seconds > 2 && seconds < 10, `after ${seconds} s`);
    assert.ok(failures(await assertCounted(agent, container, done)) > failed);
    await using _kubelet = startKubelet(node, certificates, port);
    await agent.untilReady();
    assert.match(
      agent.log,
      /"Cannot list pods at [^"]+ECONNREFUSED[^"]+; check that a kubelet runs on this node/,
    );
  },
);

Deno.test(
  "a kubepods root that appears after the agent's start is watched from then on",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    await using agent = await AgentProcess.start({
      ...node.agentEnvironment(),
      ...LOAD_SETTINGS,
      ...SHORT_INTERVALS,
    });
    await agent.until(
      "the kubelet has answered",
      (scrape) => scrape.sum("kpod_discovery_last_success_timestamp_seconds") > 0,
    );
    assert.deepEqual(await agent.readiness(), {
      status: 503,
      text: "no kubepods cgroup found: is a kubelet running here?\n",
    });
    const pod = await node.addPod({ name: "first" });
    await agent.untilReady();
    await assertCounted(agent, pod.container(), await load(node, pod.container()));
  },
);

Deno.test(
  "a kubepods root that is removed and made anew ends no series and loses nothing",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    const pod = await node.addPod({ name: "web", sandboxProcess: false });
    await using agent = await AgentProcess.ready({
      ...node.agentEnvironment(),
      ...LOAD_SETTINGS,
      ...NO_TIMER,
    });
    const inode = () => Deno.statSync(`${node.root}/kubepods.slice`).ino;
    const old = inode();
    const before = await agent.scrape();
    let done = await load(node, pod.container());
    await node.stopContainer(pod.container());
    await removeKubepods(node);
    node.startContainer(pod.container());
    assert.notEqual(inode(), old);
    const after = await agent.after(before);
    assert.deepEqual(counted(after, labelsOf(pod.container())), done);
    done = plus(done, await load(node, pod.container()));
    await assertCounted(agent, pod.container(), done);
  },
);

/** Removes the kubepods root with all below it, in which no process may be. */
async function removeKubepods(node: LabNode): Promise<void> {
  const removeBelow = async (directory: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(directory)) {
      if (isDirectory) await removeBelow(`${directory}/${name}`);
    }
    await Deno.remove(directory);
  };
  await removeBelow(`${node.root}/kubepods.slice`);
}
