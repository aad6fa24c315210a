import assert from "node:assert/strict";
import { containerIdOf, podUidOf } from "../../src/cgroup/path.ts";
import type { Pod } from "../../src/discovery/pod.ts";
import { readPods, readPodsText } from "../pods.ts";

const FIXTURES = `${import.meta.dirname}/../fixtures/kubelet-1.36`;

async function fixture(path: string): Promise<readonly Pod[]> {
  const list = readPodsText(await Deno.readTextFile(`${FIXTURES}/${path}`));
  assert.deepEqual(list.malformed, []);
  return list.pods;
}

function find(pods: readonly Pod[], name: string): Pod {
  const pod = pods.find((pod) => pod.name === name);
  assert.ok(pod, `${name} is listed`);
  return pod;
}

const list = (...items: unknown[]) => ({ kind: "PodList", apiVersion: "v1", metadata: {}, items });

/** A pod with only what must be there. */
const pod = (metadata: Record<string, unknown> = {}, rest: Record<string, unknown> = {}) => ({
  metadata: { uid: "u1", namespace: "shop", name: "web", ...metadata },
  ...rest,
});

for (const driver of ["systemd", "cgroupfs"]) {
  Deno.test(`a real kubelet's list names the cgroups of its node: ${driver}`, async () => {
    const pods = await fixture(`${driver}/steady/pods.json`);
    const lines = (await Deno.readTextFile(`${FIXTURES}/${driver}/steady/cgroup-kubepods-inodes.txt`)).trim();
    const cgroups = new Map<string, string[]>();
    for (const line of lines.split("\n")) {
      const [parent, directory] = line.split("/").slice(-2);
      const id = containerIdOf(directory ?? "");
      const uid = podUidOf(parent ?? "");
      if (id !== undefined && uid !== undefined) cgroups.set(uid, [...(cgroups.get(uid) ?? []), id]);
    }
    assert.equal(pods.length, 10);
    for (
      const [name, containers] of [["web-node1", 3], ["sidecar-node1", 2], ["hostnet-node1", 1], [
        "stuckinit-node1",
        1,
      ]] as const
    ) {
      const pod = find(pods, name);
      const known = new Set(pod.containers.flatMap(({ ids }) => ids));
      const there = cgroups.get(pod.uid) ?? [];
      assert.equal(there.length, containers + 1, `${name}: its running containers and the sandbox`);
      assert.equal(
        there.filter((id) => known.has(id)).length,
        containers,
        `${name}: all but the sandbox are named`,
      );
    }
  });
}

Deno.test("a list of a real kubelet is read with labels, kinds, host network and ids", async () => {
  const pods = await fixture("systemd/steady/pods.json");
  assert.deepEqual(find(pods, "sidecar-node1").containers.map(({ kind, name }) => `${kind} ${name}`).sort(), [
    "container main",
    "init proxy",
    "init setup",
  ]);
  assert.deepEqual(pods.filter((pod) => pod.hostNetwork).map((pod) => pod.name), ["hostnet-node1"]);
  assert.equal(find(pods, "guaranteed-node1").uid, "0f8fad5b-d9cb-469f-a165-70867728950e");
  assert.deepEqual(find(pods, "noimage-node1").containers.find(({ name }) => name === "main")?.ids, []);
  assert.deepEqual(find(pods, "crash-node1").containers.find(({ name }) => name === "boom")?.ids, [
    "e0a83fc180b8c3ea8bbb7c2194e88dd9ba031b8f7bee7af3e37a8cd295d37d6e",
    "015d667291b4866483b15f0884331e41294564068335a2800de7dd5a9db2dc35",
  ]);
  assert.ok(pods.every((pod) => Object.values(pod.labels).every((value) => typeof value === "string")));
});

Deno.test("a container that was restarted has its new id first and its last one after", async () => {
  const idsAt = async (file: string) => {
    const pods = await fixture(`systemd/seq-restart/${file}`);
    return find(pods, "guaranteed-node1").containers.find(({ name }) => name === "side")?.ids.map((id) =>
      id.slice(0, 6)
    );
  };
  assert.deepEqual(await idsAt("001-t345.21-200.json"), ["786aeb"]);
  assert.deepEqual(await idsAt("003-t347.20-200.json"), ["786aeb"]);
  assert.deepEqual(await idsAt("006-t350.40-200.json"), ["75e642", "786aeb"]);
});

Deno.test("a pod that the kubelet has just learnt of has no containers, or containers without ids", async () => {
  const pods = await fixture("systemd/seq-start/003-t30.50-200.json");
  assert.deepEqual(find(pods, "noimage-node1").containers, []);
  assert.deepEqual(find(pods, "hostnet-node1").containers, [{ name: "agent", kind: "container", ids: [] }]);
});

Deno.test("a list whose items are null or none is empty", async () => {
  assert.deepEqual(await fixture("systemd/seq-kubelet-restart/004-t427.69-200.json"), []);
  assert.deepEqual(readPods(list()), { pods: [], malformed: [] });
});

Deno.test("an ephemeral container counts, and any runtime's prefix is taken off", () => {
  const status = {
    containerStatuses: [{
      name: "main",
      containerID: "cri-o://aa",
      lastState: { terminated: { containerID: "" } },
    }],
    ephemeralContainerStatuses: [{
      name: "debug",
      containerID: "docker://bb",
      state: { running: {} },
      restartCount: 0,
    }],
    phase: "Running",
  };
  assert.deepEqual(readPods(list(pod({}, { status, spec: { nodeName: "n" } }))).pods[0]?.containers, [
    { name: "main", kind: "container", ids: ["aa"] },
    { name: "debug", kind: "ephemeral", ids: ["bb"] },
  ]);
});

Deno.test("null stands for a missing field, as Go writes an empty one", () => {
  const nulls = {
    spec: { hostNetwork: null },
    status: {
      containerStatuses: null,
      initContainerStatuses: [{ name: "a", containerID: null, state: null, lastState: {} }],
    },
  };
  assert.deepEqual(readPods(list(pod({ labels: null, annotations: null }, nulls))), {
    pods: [{
      uid: "u1",
      namespace: "shop",
      name: "web",
      labels: {},
      hostNetwork: false,
      containers: [{ name: "a", kind: "init", ids: [] }],
    }],
    malformed: [],
  });
});

const HASH = "cf2917095ebec08ee8b32dcb41dab085";
const UIDS = {
  "a static pod, whose uid is its hash": [{
    uid: HASH,
    annotations: { "kubernetes.io/config.hash": HASH, "kubernetes.io/config.source": "file" },
  }, HASH],
  "a mirror pod": [{
    annotations: { "kubernetes.io/config.hash": HASH, "kubernetes.io/config.mirror": HASH },
  }, HASH],
  "a pod whose author wrote another's hash into it": [{
    annotations: { "kubernetes.io/config.hash": HASH, "kubernetes.io/config.source": "api" },
  }, "u1"],
  "an ordinary pod": [{}, "u1"],
} as const;

for (const [what, [metadata, uid]] of Object.entries(UIDS)) {
  Deno.test(`the uid is the one the cgroup carries: ${what}`, () => {
    assert.equal(readPods(list(pod(metadata))).pods[0]?.uid, uid);
  });
}

const MALFORMED: readonly (readonly [item: unknown, pod: string, field: string])[] = [
  [null, "items[1]", "the pod itself"],
  ["web", "items[1]", "the pod itself"],
  [{}, "items[1]", "metadata"],
  [pod({ name: 7 }), "items[1]", "metadata.name"],
  [pod({ namespace: "" }), "items[1]", "metadata.namespace"],
  [pod({ uid: undefined }), "shop/web", "metadata.uid"],
  [pod({ uid: "" }), "shop/web", "metadata.uid"],
  [pod({ labels: { app: 1 } }), "shop/web", "metadata.labels.app"],
  [pod({}, { spec: { hostNetwork: "yes" } }), "shop/web", "spec.hostNetwork"],
  [pod({}, { status: { containerStatuses: {} } }), "shop/web", "status.containerStatuses"],
  [
    pod({}, { status: { containerStatuses: [{ name: "a" }, {}] } }),
    "shop/web",
    "status.containerStatuses[1].name",
  ],
  [
    pod({}, {
      status: { initContainerStatuses: [{ name: "a", lastState: { terminated: { containerID: 1 } } }] },
    }),
    "shop/web",
    "status.initContainerStatuses[0].lastState.terminated.containerID",
  ],
];

for (const [item, name, field] of MALFORMED) {
  Deno.test(`a malformed pod is skipped and recorded, and the rest survive: ${field} in ${JSON.stringify(item)}`, () => {
    const { pods, malformed } = readPods(list(pod({ name: "first" }), item, pod({ name: "last" })));
    assert.deepEqual(pods.map((pod) => pod.name), ["first", "last"]);
    assert.equal(malformed.length, 1);
    assert.equal(malformed[0]?.pod, name);
    assert.equal(malformed[0]?.problem.split(": ")[0], field);
  });
}

const NOT_LISTS: readonly (readonly [body: unknown, got: RegExp])[] = [
  [null, /^no PodList but the JSON value null$/],
  ["Unauthorized", /^no PodList but the JSON value "Unauthorized"$/],
  [[], /^no PodList but a JSON array$/],
  [{}, /^no PodList but a JSON object without a kind$/],
  [{ kind: "Status", message: "no" }, /^no PodList but kind "Status"$/],
  [{ kind: "PodList" }, /^a PodList without a list of items$/],
  [{ kind: "PodList", items: new Array(10_001).fill({}) }, /^a PodList of more than 10000 pods$/],
  [{ kind: "PodList", items: {} }, /^a PodList without a list of items$/],
];

for (const [body, got] of NOT_LISTS) {
  Deno.test(`a body that is no PodList is refused with what it is: ${JSON.stringify(body)?.slice(0, 60)}`, () => {
    assert.throws(() => readPods(body), (error: Error) => {
      assert.match(error.message, got);
      return true;
    });
  });
}
