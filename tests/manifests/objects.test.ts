import assert from "node:assert/strict";
import type { IClusterRole } from "kubernetes-models/rbac.authorization.k8s.io/v1/ClusterRole";
import type { IClusterRoleBinding } from "kubernetes-models/rbac.authorization.k8s.io/v1/ClusterRoleBinding";
import type { INetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import type { IResourceQuota } from "kubernetes-models/v1/ResourceQuota";
import type { IService } from "kubernetes-models/v1/Service";
import type { IServiceAccount } from "kubernetes-models/v1/ServiceAccount";
import type { IPodMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor";
import type { IServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";
import settings from "../../deno.json" with { type: "json" };
import {
  agentOf,
  applied,
  daemonSet,
  documents,
  filesIn,
  type KubernetesObject,
  objectFiles,
  podOf,
} from "./manifests.ts";

const NAME = "kpod-metrics";

/** Kinds that are in no namespace. */
const CLUSTER_WIDE = ["ClusterRole", "ClusterRoleBinding", "Namespace"];

function one<Kind>(objects: readonly KubernetesObject[], kind: string): Kind {
  const [found, ...more] = objects.filter((object) => object.kind === kind);
  assert.ok(found !== undefined && more.length === 0, kind);
  return found as Kind;
}

Deno.test("kubectl apply makes the objects in an order in which each finds what it needs", () => {
  assert.deepEqual(applied().map(({ kind }) => kind), [
    "Namespace",
    "ResourceQuota",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "DaemonSet",
    "Service",
  ]);
});

Deno.test("everything has one name, one label that finds it, and is in one namespace", () => {
  for (const path of objectFiles().filter((name) => !name.startsWith("stress/"))) {
    for (const { kind, metadata } of documents(path)) {
      assert.equal(metadata.name, NAME, path);
      assert.equal(metadata.labels?.["app.kubernetes.io/name"], NAME, path);
      assert.equal(metadata.namespace, CLUSTER_WIDE.includes(kind) ? undefined : NAME, path);
    }
  }
});

Deno.test("the namespace admits the pods, and gives them their priority class", () => {
  const namespace = one<KubernetesObject>(applied(), "Namespace");
  assert.equal(namespace.metadata.labels?.["pod-security.kubernetes.io/enforce"], "privileged");
  const quota = one<IResourceQuota>(applied(), "ResourceQuota");
  assert.deepEqual(quota.spec?.scopeSelector?.matchExpressions, [
    { scopeName: "PriorityClass", operator: "In", values: [podOf(daemonSet()).priorityClassName] },
  ]);
  assert.deepEqual(Object.keys(quota.spec?.hard ?? {}), ["pods"]);
});

Deno.test("the agent may get nodes/pods, and nothing else", () => {
  const role = one<IClusterRole>(applied(), "ClusterRole");
  assert.deepEqual(role.rules, [{ apiGroups: [""], resources: ["nodes/pods"], verbs: ["get"] }]);
  assert.equal(role.aggregationRule, undefined);
});

Deno.test("before Kubernetes 1.33 it may get nodes/proxy, by a role that takes the other's place", () => {
  const role = one<IClusterRole>(documents("kubernetes-before-1.33/cluster-role.yaml"), "ClusterRole");
  assert.deepEqual(role.rules, [{ apiGroups: [""], resources: ["nodes/proxy"], verbs: ["get"] }]);
  assert.equal(role.metadata?.name, NAME);
});

Deno.test("the role is bound to the account that the agent runs as, which has no token by itself", () => {
  const { roleRef, subjects } = one<IClusterRoleBinding>(applied(), "ClusterRoleBinding");
  assert.deepEqual(roleRef, { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: NAME });
  const account = podOf(daemonSet()).serviceAccountName;
  assert.deepEqual(subjects, [{ kind: "ServiceAccount", name: account, namespace: NAME }]);
  const { metadata, automountServiceAccountToken } = one<IServiceAccount>(applied(), "ServiceAccount");
  assert.deepEqual([metadata?.name, automountServiceAccountToken], [account, false]);
});

Deno.test("whatever selects the agent's pods selects them", () => {
  const { selector, template } = daemonSet().spec ?? assert.fail();
  const labels = template.metadata?.labels;
  const service = one<IService>(applied(), "Service");
  const podMonitor = one<IPodMonitor>(documents("prometheus-operator/pod-monitor.yaml"), "PodMonitor");
  const policy = one<INetworkPolicy>(documents("network-policy/network-policy.yaml"), "NetworkPolicy");
  for (
    const selected of [
      selector.matchLabels,
      service.spec?.selector,
      podMonitor.spec?.selector.matchLabels,
      policy.spec?.podSelector?.matchLabels,
    ]
  ) {
    assert.ok(selected !== undefined && Object.keys(selected).length > 0);
    assert.deepEqual({ ...labels, ...selected }, labels);
  }
  const path = "prometheus-operator/service-monitor/service-monitor.yaml";
  const { spec } = one<IServiceMonitor>(documents(path), "ServiceMonitor");
  assert.deepEqual(spec?.selector.matchLabels, service.metadata?.labels);
});

Deno.test("whatever names the agent's port names one that it has", () => {
  const ports = agentOf(daemonSet()).ports ?? [];
  assert.deepEqual(ports, [{ name: "metrics", containerPort: 9090 }]);
  const { startupProbe, livenessProbe, readinessProbe } = agentOf(daemonSet());
  const service = one<IService>(applied(), "Service").spec;
  const policy = one<INetworkPolicy>(documents("network-policy/network-policy.yaml"), "NetworkPolicy").spec;
  const podMonitor = one<IPodMonitor>(documents("prometheus-operator/pod-monitor.yaml"), "PodMonitor").spec;
  const path = "prometheus-operator/service-monitor/service-monitor.yaml";
  const serviceMonitor = one<IServiceMonitor>(documents(path), "ServiceMonitor").spec;
  const named = [
    ...[startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet?.port),
    service?.ports?.[0]?.targetPort,
    policy?.ingress?.[0]?.ports?.[0]?.port,
    podMonitor?.podMetricsEndpoints?.[0]?.port,
  ];
  assert.deepEqual(new Set(named), new Set(["metrics"]));
  assert.deepEqual(
    serviceMonitor?.endpoints.map(({ port }) => port),
    service?.ports?.map(({ name }) => name),
  );
});

Deno.test("the service is headless, has those that are not ready, and alone says where to scrape", () => {
  const { spec, metadata } = one<IService>(applied(), "Service");
  assert.deepEqual([spec?.clusterIP, spec?.publishNotReadyAddresses], ["None", true]);
  assert.deepEqual(metadata?.annotations, {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": String(spec?.ports?.[0]?.port),
    "prometheus.io/path": "/metrics",
  });
  const annotations = Object.keys(daemonSet().spec?.template.metadata?.annotations ?? {});
  assert.deepEqual(annotations.filter((name) => name.startsWith("prometheus.io/")), []);
});

Deno.test("the operator's monitors keep the labels of the series, and are not applied together", () => {
  const { spec: pods } = one<IPodMonitor>(documents("prometheus-operator/pod-monitor.yaml"), "PodMonitor");
  const path = "prometheus-operator/service-monitor/service-monitor.yaml";
  const { spec: services } = one<IServiceMonitor>(documents(path), "ServiceMonitor");
  // The rules' alerts look for a job of that name.
  const labels = daemonSet().spec?.template.metadata?.labels;
  for (const jobLabel of [pods?.jobLabel, services?.jobLabel]) assert.equal(labels?.[jobLabel ?? ""], NAME);
  for (const endpoints of [pods?.podMetricsEndpoints, services?.endpoints]) {
    assert.equal(endpoints?.length, 1);
    const [{ honorLabels, path, interval, relabelings } = assert.fail()] = endpoints ?? [];
    assert.deepEqual([honorLabels, path, interval], [true, "/metrics", "30s"]);
    assert.deepEqual(relabelings, [{
      sourceLabels: ["__meta_kubernetes_pod_node_name"],
      targetLabel: "node",
    }]);
  }
  for (const folder of ["prometheus-operator", "prometheus-operator/service-monitor"]) {
    assert.equal(filesIn(folder).length, 1, folder);
  }
});

Deno.test("the network policy lets Prometheus in and the agent out to kubelets", () => {
  const { spec } = one<INetworkPolicy>(documents("network-policy/network-policy.yaml"), "NetworkPolicy");
  assert.deepEqual(spec?.policyTypes, ["Ingress", "Egress"]);
  assert.deepEqual(spec?.egress, [{ ports: [{ protocol: "TCP", port: 10250 }] }]);
  assert.deepEqual(spec?.ingress?.flatMap(({ from = [] }) => from), [
    { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } } },
  ]);
});

Deno.test("everything that the pod names is there", () => {
  const { volumes = [], containers, initContainers = [] } = podOf(daemonSet());
  const mounted = [...initContainers, ...containers].flatMap(({ volumeMounts = [] }) => volumeMounts);
  assert.deepEqual(
    new Set(mounted.map(({ name }) => name)),
    new Set(volumes.map(({ name }) => name)),
  );
  const maps = containers.flatMap(({ envFrom = [] }) =>
    envFrom.map(({ configMapRef }) => configMapRef?.name)
  );
  assert.deepEqual(maps, [one<KubernetesObject>(applied(), "ConfigMap").metadata.name]);
  const { annotations } = daemonSet().spec?.template.metadata ?? {};
  assert.equal(annotations?.["kubectl.kubernetes.io/default-container"], agentOf(daemonSet()).name);
});

Deno.test("the image is of this version", () => {
  const { containers, initContainers = [] } = podOf(daemonSet());
  const images = [...initContainers, ...containers].map(({ image }) => image);
  assert.deepEqual(images, [`${NAME}:${settings.version}`, `${NAME}:${settings.version}`]);
});
