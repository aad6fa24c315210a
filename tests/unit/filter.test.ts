import assert from "node:assert/strict";
import { createPodFilter } from "../../src/discovery/filter.ts";
import { parseLabelSelector } from "../../src/discovery/label_selector.ts";
import type { Pod } from "../../src/discovery/pod.ts";
import { readPods } from "../pods.ts";

const SHOP = pod("shop", { app: "web" });
const SHOP_DATABASE = pod("shop", { app: "db" });
const BARE = pod("default", {});
const SYSTEM = pod("kube-system", { app: "web" });
const PODS = [SHOP, SHOP_DATABASE, BARE, SYSTEM];

for (
  const [namespaces, excludeNamespaces, selector, expected] of [
    [[], [], "", PODS],
    [[], ["kube-system", "kube-public"], "", [SHOP, SHOP_DATABASE, BARE]],
    [[], ["kube"], "", PODS],
    [["shop"], [], "", [SHOP, SHOP_DATABASE]],
    [["shop", "kube-system"], ["kube-system"], "", [SHOP, SHOP_DATABASE, SYSTEM]],
    [["shop"], ["default"], "", [SHOP, SHOP_DATABASE]],
    [["nowhere"], [], "", []],
    [[], [], "app=web", [SHOP, SYSTEM]],
    [[], ["kube-system"], "app=web", [SHOP]],
    [["shop"], [], "app!=web", [SHOP_DATABASE]],
    [[], [], "!app", [BARE]],
  ] as const
) {
  const settings = [
    `namespaces [${namespaces}]`,
    `excluded [${excludeNamespaces}]`,
    `selector "${selector}"`,
  ];
  Deno.test(`with ${settings.join(", ")}, ${expected.length} pods are reported`, () => {
    const labelSelector = parseLabelSelector(selector);
    assert.deepEqual(
      PODS.filter(createPodFilter({ namespaces, excludeNamespaces, labelSelector })),
      expected,
    );
  });
}

Deno.test("a static pod and its mirror are reported or left out alike", () => {
  const metadata = { namespace: "kube-system", name: "etcd-node1", labels: { tier: "control-plane" } };
  const hash = "0123456789abcdef0123456789abcdef";
  const source = { "kubernetes.io/config.source": "file", "kubernetes.io/config.hash": hash };
  const { pods } = readPods({
    kind: "PodList",
    items: [
      { metadata: { ...metadata, uid: hash, annotations: source } },
      {
        metadata: {
          ...metadata,
          uid: "8fd6d1c1-3a2b-4c5d-8e9f-000000000001",
          annotations: { ...source, "kubernetes.io/config.mirror": hash },
        },
      },
    ],
  });
  const reported = (excludeNamespaces: string[], selector: string) =>
    pods.map(
      createPodFilter({ namespaces: [], excludeNamespaces, labelSelector: parseLabelSelector(selector) }),
    );
  assert.deepEqual(reported([], "tier=control-plane"), [true, true]);
  assert.deepEqual(reported(["kube-system"], ""), [false, false]);
});

function pod(namespace: string, labels: Record<string, string>): Pod {
  return { uid: "1", namespace, name: "a", labels, hostNetwork: false, containers: [] };
}
