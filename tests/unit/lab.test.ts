/** The lab node itself: names, cgroups, the stand-in kubelet, and that nothing is left behind. */
import assert from "node:assert/strict";
import { existsSync as exists } from "node:fs";
import { get } from "node:https";
import { join } from "node:path";
import {
  cgroupId,
  CgroupTree,
  containerDirectory,
  findCgroup2Mount,
  findMemoryV1Mount,
  podDirectory,
  removeStaleTrees,
} from "../lab/cgroups.ts";
import { startDemo } from "../lab/demo.ts";
import { LabNode } from "../lab/node.ts";
import { Workload } from "../lab/workload.ts";

/** Only root may make cgroups. */
const needsRoot = { ignore: Deno.build.os !== "linux" || Deno.uid() !== 0 };
const UID = "0f8fad5b-d9cb-469f-a165-70867728950e";
const ID = "845a5c80087039709dd16c9ad5011cd325c3552f3152bfdd269f629186f39055";

Deno.test("pod directories are named as the kubelet names them", () => {
  const slice = "kubepods.slice/kubepods-burstable.slice";
  const underscored = UID.replaceAll("-", "_");
  for (
    const [qosClass, driver, expected] of [
      ["Guaranteed", "systemd", `kubepods.slice/kubepods-pod${underscored}.slice`],
      ["Burstable", "systemd", `${slice}/kubepods-burstable-pod${underscored}.slice`],
      ["Guaranteed", "cgroupfs", `kubepods/pod${UID}`],
      ["BestEffort", "cgroupfs", `kubepods/besteffort/pod${UID}`],
    ] as const
  ) assert.equal(podDirectory(UID, qosClass, driver), expected);
});

Deno.test("container directories are named as each runtime names them", () => {
  for (
    const [driver, runtime, expected] of [
      ["systemd", "containerd", `cri-containerd-${ID}.scope`],
      ["systemd", "cri-o", `crio-${ID}.scope`],
      ["systemd", "docker", `docker-${ID}.scope`],
      ["cgroupfs", "containerd", ID],
      ["cgroupfs", "cri-o", `crio-${ID}`],
    ] as const
  ) assert.equal(containerDirectory(ID, driver, runtime), expected);
});

Deno.test("cgroup mounts are found on hybrid and on pure v2 hosts", () => {
  const hybrid = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n" +
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
  const pure = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
  assert.equal(findCgroup2Mount(hybrid), "/sys/fs/cgroup/unified");
  assert.equal(findMemoryV1Mount(hybrid), "/sys/fs/cgroup/memory");
  assert.equal(findCgroup2Mount(pure), "/sys/fs/cgroup");
  assert.equal(findMemoryV1Mount(pure), undefined);
  assert.throws(() => findCgroup2Mount(""), /Cannot find cgroup v2/);
});

Deno.test("a tree is removed with the processes in it, and nothing outside it is", needsRoot, async () => {
  const tree = CgroupTree.create(join(findCgroup2Mount(), `kpod-lab-${Deno.pid}-tree`));
  const workload = await Workload.start(["pause"], { cgroups: [tree.make("kubepods/pod1/c1")] });
  await assert.rejects(tree.remove(findCgroup2Mount()), /it is not in/);
  await assert.rejects(tree.remove(`${tree.root}-other`), /it is not in/);
  await tree.removeAll();
  assert.equal((await workload.exit()).signal, "SIGKILL");
  assert.equal(exists(tree.root), false);
});

Deno.test("a root that is not a lab's, or is there already, is refused", needsRoot, async () => {
  const mount = findCgroup2Mount();
  assert.throws(() => CgroupTree.create(join(mount, "kubepods.slice")), /name it kpod-lab-/);
  await using tree = CgroupTree.create(join(mount, `kpod-lab-${Deno.pid}-twice`));
  assert.throws(() => CgroupTree.create(tree.root), Deno.errors.AlreadyExists);
});

Deno.test("trees of labs that were killed are removed, those of running labs stay", needsRoot, async () => {
  await using tree = CgroupTree.create(join(findCgroup2Mount(), `kpod-lab-${Deno.pid}-stale`));
  const ended = new Deno.Command("true").spawn();
  await ended.status;
  const stale = tree.make(`kpod-lab-${ended.pid}-0`);
  const alive = tree.make(`kpod-lab-${Deno.pid}-9`);
  await removeStaleTrees(tree.root);
  assert.deepEqual([exists(stale), exists(alive)], [false, true]);
});

interface Answer {
  readonly status: number | undefined;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

function ask(node: LabNode, path: string, token?: string, name = node.name): Promise<Answer> {
  const environment = node.agentEnvironment();
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  get(environment["KPOD_KUBELET_URL"] + path, {
    ca: Deno.readTextFileSync(environment["KPOD_KUBELET_CA_FILE"] ?? ""),
    servername: name,
    agent: false,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  }, (response) => {
    let text = "";
    response.on("data", (chunk) => text += chunk).on("error", reject).on("end", () => {
      const isJson = response.headers["content-type"]?.includes("json");
      resolve({ status: response.statusCode, body: isJson ? JSON.parse(text) : text });
    });
  }).on("error", reject);
  return promise;
}

const tokenOf = (node: LabNode) =>
  Deno.readTextFileSync(node.agentEnvironment()["KPOD_KUBELET_TOKEN_FILE"] ?? "");

Deno.test("the kubelet answers by path and token, under its one name", needsRoot, async () => {
  await using node = await LabNode.start();
  const token = tokenOf(node);
  for (
    const [path, given, status] of [
      ["/pods", token, 200],
      ["/pods/", token, 200],
      ["/metrics", token, 404],
      ["/pods", undefined, 401],
      ["/pods", "wrong", 401],
      ["/pods", `${token}-forbidden`, 403],
    ] as const
  ) assert.equal((await ask(node, path, given)).status, status, `${path} with ${given}`);
  await assert.rejects(ask(node, "/pods", token, "another-node"), /altname|name|NotValidForName/i);
});

Deno.test("the kubelet can be told to fail, and to hang until it stops", needsRoot, async () => {
  const node = await LabNode.start();
  const token = tokenOf(node);
  await node.addPod({ name: "web" });
  node.kubelet.answer = { kind: "empty" };
  assert.equal((await ask(node, "/pods", token)).body.items, null);
  node.kubelet.answer = { kind: "status", status: 500 };
  assert.equal((await ask(node, "/pods", token)).status, 500);
  node.kubelet.answer = { kind: "hang" };
  const hung = ask(node, "/pods", token);
  while (node.kubelet.requests < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  const [, answer] = await Promise.all([node.stop(), hung]);
  assert.equal(answer.status, 503);
});

Deno.test(
  "each running container in the list has its cgroup, the sandbox is in no list",
  needsRoot,
  async () => {
    await using node = await LabNode.start();
    const pod = await node.addPod({
      name: "web",
      qosClass: "Burstable",
      labels: { app: "web" },
      containers: ["server", { name: "late", waiting: "ImagePullBackOff" }, {
        name: "proxy",
        kind: "sidecar",
      }],
    });
    const { body } = await ask(node, "/pods", tokenOf(node));
    const [{ metadata, spec, status }] = body.items;
    assert.deepEqual(
      [metadata.name, metadata.namespace, metadata.uid, metadata.labels],
      ["web", "default", pod.uid, { app: "web" }],
    );
    assert.deepEqual([spec.hostNetwork, status.qosClass], [true, "Burstable"]);
    const [server, late] = status.containerStatuses;
    assert.deepEqual([late.containerID, late.state], [undefined, {
      waiting: { reason: "ImagePullBackOff" },
    }]);
    const listed = [server, status.initContainerStatuses[0]]
      .map((container) => `cri-containerd-${container.containerID.replace("containerd://", "")}.scope`);
    const directories = (await Array.fromAsync(Deno.readDir(pod.cgroup))).filter((entry) =>
      entry.isDirectory
    );
    const unlisted = directories.map((entry) => join(pod.cgroup, entry.name))
      .filter((path) => !listed.some((name) => path.endsWith(name)));
    assert.deepEqual(unlisted, [pod.sandboxCgroup]);
    const members = await Deno.readTextFile(`${pod.sandboxCgroup}/cgroup.procs`);
    assert.equal(members, `${pod.sandboxPid}\n`);
  },
);

Deno.test("a restarted container has a new id, a new cgroup and a last state", needsRoot, async () => {
  await using node = await LabNode.start({ driver: "cgroupfs" });
  const container = (await node.addPod({ name: "crash", qosClass: "Guaranteed" })).container();
  const before = { id: container.id, cgroup: container.cgroup ?? "" };
  const inode = cgroupId(before.cgroup);
  const workload = await node.run(container, ["pause"]);
  await node.restartContainer(container, { exitCode: 3, reason: "Error" });
  assert.equal((await workload.exited).signal, "SIGKILL");
  assert.equal(exists(before.cgroup), false);
  assert.notEqual(cgroupId(container.cgroup ?? ""), inode);
  const status = (await ask(node, "/pods", tokenOf(node))).body.items[0].status.containerStatuses[0];
  assert.equal(status.containerID, `containerd://${container.id}`);
  assert.deepEqual(
    [status.restartCount, status.lastState.terminated.exitCode, status.lastState.terminated.containerID],
    [1, 3, `containerd://${before.id}`],
  );
});

Deno.test("a removed pod leaves the list and its cgroups go", needsRoot, async () => {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "gone" });
  await node.run(pod.container(), ["pause"], { below: "system.slice/inner.service" });
  pod.listed = false;
  assert.deepEqual((await ask(node, "/pods", tokenOf(node))).body.items, []);
  assert.equal(exists(pod.cgroup), true);
  await node.removePod(pod);
  assert.equal(exists(pod.cgroup), false);
});

Deno.test("the demonstration runs, and stopping leaves no process, cgroup or file", needsRoot, async () => {
  const node = await LabNode.start();
  const errors: Error[] = [];
  const demo = await startDemo(node, (error) => errors.push(error));
  const pids = node.pods.map((pod) => pod.sandboxPid);
  const [lossy] = node.pods.filter((pod) => pod.spec.name === "lossy");
  const members = await Deno.readTextFile(`${lossy?.container("sender").cgroup}/cgroup.procs`);
  assert.match(members, /^\d+\n$/);
  await demo.stop();
  await node.stop();
  assert.deepEqual(errors, []);
  assert.equal(node.pods.length, 8);
  const left = [node.root, node.directory, ...pids.map((pid) => `/proc/${pid}`)].filter(exists);
  assert.deepEqual(left, []);
});
