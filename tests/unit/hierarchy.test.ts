/** The kubepods root and the containers below it, in real cgroups named as kubelets and runtimes name them. */
import assert from "node:assert/strict";
import { basename, dirname, join, relative } from "node:path";
import { findKubepods, listContainers, openHierarchy, PodTree } from "../../src/cgroup/hierarchy.ts";
import { HostRoot } from "../../src/native/host_files.ts";
import {
  type CgroupDriver,
  cgroupId,
  CgroupTree,
  containerDirectory,
  type ContainerRuntime,
  findCgroup2Mount,
  podDirectory,
  type QosClass,
} from "../lab/cgroups.ts";
import { newContainerId } from "../lab/pods.ts";

/** Only root may make cgroups. */
const needsRoot = { ignore: Deno.build.os !== "linux" || Deno.uid() !== 0 };
const QOS: readonly QosClass[] = ["Guaranteed", "Burstable", "BestEffort"];
const ID = newContainerId();

let trees = 0;

/** A directory of this test's own, which stands for the root of the hierarchy. */
function makeTree(): CgroupTree {
  return CgroupTree.create(join(findCgroup2Mount(), `kpod-lab-${Deno.pid}-tree${trees++}`));
}

/** What was found below `root`, by the ids of its directories. */
function find(root: string) {
  using hierarchy = HostRoot.open(root);
  const kubepods = findKubepods(hierarchy);
  return { kubepods, containers: kubepods && listContainers(hierarchy, kubepods) };
}

const NODES = (["systemd", "cgroupfs"] as const).flatMap((driver) =>
  (["containerd", "cri-o", "docker"] as const).map((runtime) => [driver, runtime] as const)
) satisfies readonly (readonly [CgroupDriver, ContainerRuntime])[];

for (const [driver, runtime] of NODES) {
  Deno.test(`containers of every QoS class are found: ${driver}, ${runtime}`, needsRoot, async () => {
    await using tree = makeTree();
    const expected = QOS.flatMap((qosClass) => {
      const podUid = crypto.randomUUID();
      return [1, 2].map(() => {
        const containerId = newContainerId();
        const directory = tree.make(
          `${podDirectory(podUid, qosClass, driver)}/${containerDirectory(containerId, driver, runtime)}`,
        );
        return { id: BigInt(cgroupId(directory)), podUid, containerId, path: relative(tree.root, directory) };
      });
    });
    const { kubepods, containers } = find(tree.root);
    const directory = driver === "systemd" ? "kubepods.slice" : "kubepods";
    assert.equal(kubepods?.path, directory);
    assert.equal(kubepods?.id, BigInt(cgroupId(`${tree.root}/${directory}`)));
    assert.deepEqual(byId(containers), byId(expected));
  });
}

function byId<T extends { readonly id: bigint }>(items: readonly T[] | undefined): T[] | undefined {
  return items?.toSorted((one, other) => one.id < other.id ? -1 : 1);
}

Deno.test("a root is found wherever it is", needsRoot, async () => {
  for (const path of ["kubepods.slice", "kubelet.slice/kubelet-kubepods.slice", "a/b/c/kubepods"]) {
    await using tree = makeTree();
    tree.make(path);
    assert.deepEqual(find(tree.root).kubepods, { id: BigInt(cgroupId(join(tree.root, path))), path });
  }
});

Deno.test("containers below a --cgroup-root are found", needsRoot, async () => {
  const uid = "0f8fad5b-d9cb-469f-a165-70867728950e";
  for (
    const pod of [
      `kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/` +
      `kubelet-kubepods-burstable-pod${uid.replaceAll("-", "_")}.slice`,
      `kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod${uid.replaceAll("-", "_")}.slice`,
      `kubelet/kubepods/besteffort/pod${uid}`,
    ]
  ) {
    await using tree = makeTree();
    const id = BigInt(cgroupId(tree.make(`${pod}/cri-containerd-${ID}.scope`)));
    const path = `${pod}/cri-containerd-${ID}.scope`;
    assert.deepEqual(find(tree.root).containers, [{ id, podUid: uid, containerId: ID, path }], pod);
  }
});

Deno.test("of several roots the one nearest the top counts", needsRoot, async () => {
  for (const [deep, near] of [["a", "z"], ["z", "a"]]) {
    await using tree = makeTree();
    tree.make(`${deep}/inner/kubepods.slice`);
    tree.make(`${near}/kubepods.slice`);
    assert.equal(find(tree.root).kubepods?.path, `${near}/kubepods.slice`);
  }
});

Deno.test("cgroups inside a container, and what is no container, are not listed", needsRoot, async () => {
  for (const qosClass of QOS) {
    for (const driver of ["systemd", "cgroupfs"] as const) {
      await using tree = makeTree();
      const pod = podDirectory(crypto.randomUUID(), qosClass, driver);
      const container = `${pod}/${containerDirectory(ID, driver, "containerd")}`;
      const nested = podDirectory(crypto.randomUUID(), "Burstable", driver);
      for (const below of ["init.scope", newContainerId(), `docker-${newContainerId()}.scope`, nested]) {
        tree.make(`${container}/${below}`);
      }
      tree.make(`${pod}/crio-conmon-${newContainerId()}.scope`);
      tree.make(`${pod}/sidecar`);
      tree.make(`${pod.split("/")[0]}/${newContainerId()}`);
      const found = find(tree.root).containers;
      assert.deepEqual(found?.map(({ containerId }) => containerId), [ID], `${qosClass} ${driver}`);
    }
  }
});

Deno.test("without a kubepods directory there is no root", needsRoot, async () => {
  await using tree = makeTree();
  tree.make("system.slice/kubelet.service");
  assert.deepEqual(find(tree.root), { kubepods: undefined, containers: undefined });
});

Deno.test("a root that is gone, or another one by the same name, has no list", needsRoot, async () => {
  await using tree = makeTree();
  const path = tree.make("kubepods.slice");
  using hierarchy = HostRoot.open(tree.root);
  const kubepods = findKubepods(hierarchy);
  assert.ok(kubepods);
  assert.deepEqual(listContainers(hierarchy, kubepods), []);
  await tree.remove(path);
  assert.equal(listContainers(hierarchy, kubepods), undefined);
  tree.make("kubepods.slice");
  assert.equal(listContainers(hierarchy, kubepods), undefined);
});

Deno.test(
  "a tree follows its root through removal and return, and its mount as well",
  needsRoot,
  async () => {
    const path = `kubepods.slice/kubepods-pod${"0".repeat(32)}.slice`;
    const scope = (id: string) => `${path}/cri-containerd-${id}.scope`;
    const root = join(findCgroup2Mount(), `kpod-lab-${Deno.pid}-mount`);
    using pods = new PodTree(root);
    assert.throws(() => pods.containers(), /ENOENT.*KPOD_CGROUP_ROOT/);
    const [first, second, third] = [1, 2, 3].map(newContainerId) as [string, string, string];
    {
      await using tree = CgroupTree.create(root);
      assert.deepEqual([pods.containers(), pods.kubepods], [[], undefined]);
      tree.make(scope(first));
      assert.deepEqual(pods.containers().map(({ containerId }) => containerId), [first]);
      const before = pods.kubepods;
      await tree.remove(`${tree.root}/kubepods.slice`);
      assert.deepEqual([pods.containers(), pods.kubepods], [[], undefined]);
      tree.make(scope(second));
      assert.deepEqual(pods.containers().map(({ containerId }) => containerId), [second]);
      assert.notEqual(pods.kubepods?.id, before?.id);
    }
    const last = pods.hierarchy;
    assert.throws(() => pods.containers(), /ENOENT.*KPOD_CGROUP_ROOT/);
    assert.equal(pods.hierarchy, last, "what is open stays so until there is another");
    await using tree = CgroupTree.create(root);
    tree.make(scope(third));
    assert.deepEqual(pods.containers().map(({ containerId }) => containerId), [third]);
  },
);

Deno.test("cgroup v2 is found where it is mounted, and beside v1 controllers", () => {
  const mount = findCgroup2Mount();
  using own = openHierarchy(mount);
  assert.equal(own.path, mount);
  if (basename(mount) !== "unified") return;
  using beside = openHierarchy(dirname(mount));
  assert.equal(beside.path, mount);
});

Deno.test("a path without cgroup v2 is an error that says what to set", () => {
  const directory = Deno.makeTempDirSync();
  try {
    assert.throws(() => openHierarchy(directory), {
      message:
        `Cannot find cgroup v2: ${directory} is no cgroup2 filesystem; ${directory}/unified: ENOENT; ` +
        "set KPOD_CGROUP_ROOT to where the host's /sys/fs/cgroup is",
    });
    Deno.mkdirSync(join(directory, "unified"));
    assert.throws(() => openHierarchy(directory), /unified is no cgroup2 filesystem; set KPOD_CGROUP_ROOT/);
    assert.throws(() => openHierarchy(join(directory, "nowhere")), /nowhere: ENOENT;.*set KPOD_CGROUP_ROOT/);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
