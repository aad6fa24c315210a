import assert from "node:assert/strict";
import { containerIdOf, isKubepodsRoot, podUidOf, qosOf } from "../../src/cgroup/path.ts";

const UUID = "0f8fad5b-d9cb-469f-a165-70867728950e";
const ESCAPED = "0f8fad5b_d9cb_469f_a165_70867728950e";
const HASH = "cf2917095ebec08ee8b32dcb41dab085";
const ID = "85eadbc2e66a0281bc7f98257beb683c502e7d47077d1245158d161675523a3f";

/** What a path is, told level by level as a walk of the tree would. */
function locate(path: string) {
  const parts = path.split("/").filter((part) => part !== "");
  const root = parts.findIndex(isKubepodsRoot);
  const below = parts.slice(root + 1);
  const qos = qosOf(below[0] ?? "");
  if (qos !== undefined) below.shift();
  const [pod, container, ...deeper] = below;
  return {
    root: root >= 0,
    qos,
    pod: pod === undefined ? undefined : podUidOf(pod),
    container: container === undefined ? undefined : containerIdOf(container),
    deeper: deeper.length,
  };
}

const NODES = [
  {
    driver: "systemd",
    root: "/kubepods.slice",
    pod: (qos: string) =>
      (qos === "" ? "" : `/kubepods-${qos}.slice`) + `/kubepods${qos && `-${qos}`}-pod${ESCAPED}.slice`,
    containers: {
      containerd: `cri-containerd-${ID}.scope`,
      "CRI-O": `crio-${ID}.scope`,
      docker: `docker-${ID}.scope`,
    },
  },
  {
    driver: "systemd below --cgroup-root=/kubelet",
    root: "/kubelet.slice/kubelet-kubepods.slice",
    pod: (qos: string) =>
      (qos === "" ? "" : `/kubelet-kubepods-${qos}.slice`) +
      `/kubelet-kubepods${qos && `-${qos}`}-pod${ESCAPED}.slice`,
    containers: { containerd: `cri-containerd-${ID}.scope` },
  },
  {
    driver: "cgroupfs",
    root: "/kubepods",
    pod: (qos: string) => (qos === "" ? "" : `/${qos}`) + `/pod${UUID}`,
    containers: { containerd: ID, "CRI-O": `crio-${ID}`, docker: ID },
  },
  {
    driver: "cgroupfs below --cgroup-root=/kubelet",
    root: "/kubelet/kubepods",
    pod: (qos: string) => (qos === "" ? "" : `/${qos}`) + `/pod${UUID}`,
    containers: { containerd: ID },
  },
];

for (const { driver, root, pod, containers } of NODES) {
  for (const [runtime, container] of Object.entries(containers)) {
    for (const qos of ["", "burstable", "besteffort"]) {
      const path = `${root}${pod(qos)}/${container}`;
      Deno.test(`a ${qos || "guaranteed"} pod's container is found: ${runtime}, ${driver}`, () => {
        assert.deepEqual(locate(path), {
          root: true,
          qos: qos === "" ? undefined : qos,
          pod: UUID,
          container: ID,
          deeper: 0,
        });
      });
    }
  }
}

for (const driver of ["systemd", "cgroupfs"]) {
  Deno.test(`every directory of a real node is told for what it is: ${driver}`, async () => {
    const fixtures = `${import.meta.dirname}/../fixtures/kubelet-1.36/${driver}/steady`;
    const listed = JSON.parse(await Deno.readTextFile(`${fixtures}/pods.json`)).items;
    const uids = new Set(listed.map((pod: { metadata: { uid: string } }) => pod.metadata.uid));
    const lines = (await Deno.readTextFile(`${fixtures}/cgroup-kubepods-inodes.txt`)).trim().split("\n");
    const counts = { roots: 0, levels: 0, pods: 0, containers: 0 };
    for (const line of lines) {
      const path = line.split(" ")[2]?.replace("/sys/fs/cgroup", "") ?? "";
      const { root, qos, pod, container, deeper } = locate(path);
      assert.ok(root, line);
      assert.equal(deeper, 0, line);
      const depth = path.split("/").length - 2 - (qos === undefined ? 0 : 1);
      if (depth === 0) qos === undefined ? counts.roots++ : counts.levels++;
      else assert.ok(uids.has(pod), line);
      if (depth === 1) counts.pods++;
      if (depth === 2) {
        counts.containers++;
        assert.ok(container !== undefined && path.includes(container), line);
      }
    }
    assert.equal(counts.roots, 1);
    assert.equal(counts.levels, 2);
    assert.equal(counts.pods, 9, "all but the pod whose containers have ended");
    assert.equal(counts.roots + counts.levels + counts.pods + counts.containers, lines.length);
  });
}

const ROOTS = ["kubepods", "kubepods.slice", "kubelet-kubepods.slice", "a-b_c-kubepods.slice"];
const NOT_ROOTS = [
  "",
  "kubepods-burstable.slice",
  "mykubepods",
  "mykubepods.slice",
  "-kubepods.slice",
  "kubelet-kubepods",
  "kubepods.scope",
  "kubepods.slice.d",
  "system.slice",
  "kubepodsXslice",
];

Deno.test("only the kubepods directory itself is the root of the pods", () => {
  for (const name of ROOTS) assert.equal(isKubepodsRoot(name), true, name);
  for (const name of NOT_ROOTS) assert.equal(isKubepodsRoot(name), false, name);
});

Deno.test("a QoS level is told from pods and from other slices", () => {
  const levels = { "kubepods-burstable.slice": "burstable", besteffort: "besteffort" };
  for (const [name, qos] of Object.entries(levels)) assert.equal(qosOf(name), qos, name);
  const others = [
    "",
    "guaranteed",
    "kubepods-guaranteed.slice",
    "burstable.slice",
    "kubepods.slice",
    "kubepods-burstable",
  ];
  for (const name of [...others, `kubepods-burstable-pod${ESCAPED}.slice`]) {
    assert.equal(qosOf(name), undefined, name);
  }
});

const POD_NAMES: readonly (readonly [name: string, uid: string | undefined])[] = [
  [`kubepods-pod${ESCAPED}.slice`, UUID],
  [`kubepods-burstable-pod${HASH}.slice`, HASH],
  [`kubelet-kubepods-besteffort-pod${HASH}.slice`, HASH],
  ["kubepods-podmy_own_uid.slice", "my-own-uid"],
  [`pod${HASH}`, HASH],
  [`pod${UUID}`, UUID],
  ["", undefined],
  ["pod", undefined],
  ["podman", undefined],
  ["podruntime.slice", undefined],
  [`pod${UUID}.slice`, undefined],
  [`pod${ESCAPED}`, undefined],
  [`pod${HASH}0`, undefined],
  ["kubepods-pod.slice", undefined],
  ["kubepods.slice", undefined],
  ["kubepods-burstable.slice", undefined],
  [`kubepods-guaranteed-pod${ESCAPED}.slice`, undefined],
  [`kubepods-burstable-pod${UUID}.slice`, undefined],
  [`kubepods-pod${ESCAPED}.scope`, undefined],
  [`machine-pod${ESCAPED}.slice`, undefined],
  [`kubepods-pod${ESCAPED}.slice:cri-containerd:${ID}`, undefined],
];

const CONTAINER_NAMES: readonly (readonly [name: string, id: string | undefined])[] = [
  [`libpod-${ID}.scope`, ID],
  [ID.slice(32), ID.slice(32)],
  [`crio-conmon-${ID}.scope`, undefined],
  [`crio-conmon-${ID}`, undefined],
  [`libpod-conmon-${ID}.scope`, undefined],
  ["", undefined],
  ["container", undefined],
  ["init.scope", undefined],
  ["system.slice", undefined],
  ["user.slice", undefined],
  ["session-1.scope", undefined],
  ["docker.service", undefined],
  ["docker-registry.service", undefined],
  ["crio-.scope", undefined],
  [`run-r${ID.slice(32)}.scope`, undefined],
  [`systemd-${ID}.scope`, undefined],
  [`docker-${ID}.service`, undefined],
  [`docker-${ID}.mount`, undefined],
  [`${ID}.scope`, undefined],
  [`cri-containerd-${ID.toUpperCase()}.scope`, undefined],
  [ID.slice(33), undefined],
];

Deno.test("a pod's uid is read from its directory's name, and from no other", () => {
  for (const [name, uid] of POD_NAMES) assert.equal(podUidOf(name), uid, name);
});

Deno.test("a container's id is read from its directory's name, and from no helper's or unit's", () => {
  for (const [name, id] of CONTAINER_NAMES) assert.equal(containerIdOf(name), id, name);
});
