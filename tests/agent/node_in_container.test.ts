/**
 * Nodes that are containers themselves, as kind's and minikube's are: each has a cgroup namespace and a cgroup2 mount of
 * its own, which show it its part of the machine's hierarchy and nothing above, while the kernel is one and the same.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { needsPrograms } from "../kernel/requirements.ts";
import { type CgroupDriver, CgroupTree, findCgroup2Mount } from "../lab/cgroups.ts";
import { LabNode } from "../lab/node.ts";
import { AgentProcess, SHORT_INTERVALS } from "./agent.ts";
import { doctor, failed } from "./doctor.ts";
import { assertCounted, load, LOAD_SETTINGS, plus } from "./load.ts";

/** As a node image's entrypoint does: a namespace rooted where it is, the mount, then a cgroup for its processes. */
const ENTRYPOINT = `
  echo $$ > "$0/cgroup.procs"
  exec unshare --cgroup --mount --propagation private sh -ec '
    mount -t cgroup2 none "$0"
    mkdir "$0/init.scope"
    echo $$ > "$0/init.scope/cgroup.procs"
    echo ready
    exec cat' "$1"`;

/** Starts a process inside the node; returns the path at which others see the node's own cgroup2 mount. */
async function contain(node: LabNode): Promise<string> {
  const directory = join(node.directory, "cgroup");
  await Deno.mkdir(directory);
  const inside = new Deno.Command("sh", {
    args: ["-ec", ENTRYPOINT, node.root, directory],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  // It ends with the node's cgroups.
  inside.unref();
  const { value } = await inside.stdout.getReader().read();
  assert.equal(new TextDecoder().decode(value), "ready\n");
  return `/proc/${inside.pid}/root${directory}`;
}

/** A node inside a container, below a cgroup of the machine, with one pod; and settings for its agent. */
async function startContained(parent: string, name: string, driver: CgroupDriver) {
  const node = await LabNode.start({ root: join(parent, `kpod-lab-${Deno.pid}-${name}`), name, driver });
  const seen = await contain(node);
  const pod = await node.addPod({ name: `web-${name}`, qosClass: "Burstable" });
  const settings = {
    ...node.agentEnvironment(),
    ...LOAD_SETTINGS,
    ...SHORT_INTERVALS,
    KPOD_CGROUP_ROOT: seen,
  };
  return { node, container: pod.container(), settings, [Symbol.asyncDispose]: () => node.stop() };
}

Deno.test(
  "two nodes that are containers of one machine, at different depths, each count their own pods alone",
  needsPrograms,
  async () => {
    await using machine = CgroupTree.create(join(findCgroup2Mount(), `kpod-lab-${Deno.pid}-machine`));
    await using shallow = await startContained(machine.root, "shallow", "systemd");
    await using deep = await startContained(machine.make("system.slice/docker.slice"), "deep", "cgroupfs");
    for (const { settings } of [shallow, deep]) {
      const { findings, code } = await doctor(settings);
      assert.deepEqual([failed(findings), code], [[], 0]);
    }
    await using shallowAgent = await AgentProcess.ready(shallow.settings);
    await using deepAgent = await AgentProcess.ready(deep.settings);
    const done = await Promise.all(
      [shallow, deep].map(async ({ node, container }) =>
        plus(await load(node, container), await load(node, container, { below: "a/b/c" }))
      ),
    );
    for (const [index, agent] of [shallowAgent, deepAgent].entries()) {
      const { container } = [shallow, deep][index] ?? assert.fail();
      const scrape = await assertCounted(agent, container, done[index] ?? assert.fail());
      assert.deepEqual(scrape.values("pod"), new Set([container.pod.spec.name]));
      assert.equal(scrape.sum("kpod_unattributed_cgroups"), 0);
    }
  },
);
