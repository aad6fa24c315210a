/** The body of a kubelet's `/pods` in full size: some 12 kB a pod of two containers, as an API server stores it. */
import type { LabContainer, LabPod } from "../lab/pods.ts";

const TIME = "2026-11-22T10:48:22Z";
const IMAGE = "registry.example.com/shop/service";
const DIGEST = "4f9bc157b6d7e3f60d3e39857b74577504aa934f5d375fda8d026201764097b6";
const RESOURCES = { limits: { cpu: "500m", memory: "256Mi" }, requests: { cpu: "100m", memory: "128Mi" } };
const TOKEN_MOUNT = {
  name: "kube-api-access-x7k2p",
  readOnly: true,
  mountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
};
const ENVIRONMENT_NAMES = ["LOG_LEVEL", "LOG_FORMAT", "HTTP_PORT", "DATABASE_URL", "CACHE_URL", "QUEUE_URL"]
  .concat("REQUEST_TIMEOUT", "MAX_CONNECTIONS", "FEATURE_FLAGS", "TRACING_ENDPOINT", "REGION", "ZONE");

/** The text of the answer that lists these pods. */
export function fullPodList(pods: readonly LabPod[], node: string): string {
  return listOf(pods.map((pod) => fullPod(pod, node)));
}

/** The text of the answer that lists pods of which this is the text. */
export function listOf(pods: readonly string[]): string {
  return `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[${pods.join(",")}]}`;
}

/** The text of one of them. */
export function fullPod(pod: LabPod, node: string): string {
  return JSON.stringify(podJson(pod, node));
}

function podJson(pod: LabPod, node: string) {
  const { spec: { name }, namespace, uid, qosClass, containers } = pod;
  const app = name.replace(/-[^-]+-[^-]+$/, "");
  const labels = {
    "app.kubernetes.io/name": app,
    "app.kubernetes.io/instance": `${app}-production`,
    "app.kubernetes.io/version": "1.27.4",
    "app.kubernetes.io/component": "backend",
    "app.kubernetes.io/part-of": "shop",
    "app.kubernetes.io/managed-by": "Helm",
    "pod-template-hash": "7d9f8c6b54",
    team: namespace,
  };
  return {
    metadata: {
      name,
      generateName: `${app}-7d9f8c6b54-`,
      namespace,
      uid,
      resourceVersion: "48211907",
      creationTimestamp: TIME,
      labels,
      annotations: {
        "checksum/config": DIGEST,
        "checksum/secrets": DIGEST,
        "kubectl.kubernetes.io/restartedAt": TIME,
        "prometheus.io/port": "9102",
        "prometheus.io/scrape": "true",
        "kubernetes.io/config.seen": TIME,
        "kubernetes.io/config.source": "api",
      },
      ownerReferences: [{
        apiVersion: "apps/v1",
        kind: "ReplicaSet",
        name: `${app}-7d9f8c6b54`,
        uid: "0f8fad5b-d9cb-469f-a165-70867728950e",
        controller: true,
        blockOwnerDeletion: true,
      }],
      managedFields: [
        managed("kube-controller-manager", {
          "f:metadata": { "f:annotations": emptyFields(7), "f:labels": fieldsOf(labels) },
          "f:spec": {
            ...emptyFields(10),
            "f:containers": Object.fromEntries(
              containers.map((container) => [`k:{"name":"${container.name}"}`, managedContainer()]),
            ),
          },
        }),
      ],
    },
    spec: podSpec(pod, app, node),
    status: {
      phase: "Running",
      conditions: ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
        .map((type) => ({ type, status: "True", lastProbeTime: null, lastTransitionTime: TIME })),
      hostIP: "10.0.3.17",
      hostIPs: [{ ip: "10.0.3.17" }],
      podIP: "10.88.0.3",
      podIPs: [{ ip: "10.88.0.3" }],
      startTime: TIME,
      containerStatuses: containers.map(statusJson),
      qosClass,
    },
  };
}

function podSpec({ namespace, containers }: LabPod, app: string, node: string) {
  const notReady = (key: string) => ({
    key,
    operator: "Exists",
    effect: "NoExecute",
    tolerationSeconds: 300,
  });
  return {
    volumes: [
      { name: "config", configMap: { name: `${app}-config`, defaultMode: 420 } },
      { name: "tls", secret: { secretName: `${app}-tls`, defaultMode: 420 } },
      { name: "data", emptyDir: {} },
      {
        name: TOKEN_MOUNT.name,
        projected: {
          sources: [
            { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
            { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
            {
              downwardAPI: {
                items: [{
                  path: "namespace",
                  fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" },
                }],
              },
            },
          ],
          defaultMode: 420,
        },
      },
    ],
    containers: containers.map((container) => containerJson(container, app, namespace)),
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 30,
    dnsPolicy: "ClusterFirst",
    serviceAccountName: app,
    serviceAccount: app,
    nodeName: node,
    securityContext: { runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, runAsNonRoot: true },
    affinity: {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [{
          weight: 100,
          podAffinityTerm: {
            labelSelector: { matchLabels: { "app.kubernetes.io/name": app } },
            topologyKey: "kubernetes.io/hostname",
          },
        }],
      },
    },
    schedulerName: "default-scheduler",
    tolerations: [notReady("node.kubernetes.io/not-ready"), notReady("node.kubernetes.io/unreachable")],
    priority: 0,
    enableServiceLinks: true,
    preemptionPolicy: "PreemptLowerPriority",
  };
}

function containerJson({ name }: LabContainer, app: string, namespace: string) {
  const probe = (path: string) => ({
    httpGet: { path, port: "http", scheme: "HTTP" },
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
  });
  return {
    name,
    image: `${IMAGE}-${name}:1.27.4`,
    args: ["--config=/etc/service/config.yaml", "--listen=:8080", "--metrics=:9102"],
    ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }, {
      name: "metrics",
      containerPort: 9102,
      protocol: "TCP",
    }],
    env: [
      ...ENVIRONMENT_NAMES.map((key) => ({
        name: key,
        value: `${key.toLowerCase().replaceAll("_", "-")}.${namespace}.svc.cluster.local:8080`,
      })),
      {
        name: "POD_NAME",
        valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } },
      },
      { name: "PASSWORD", valueFrom: { secretKeyRef: { name: `${app}-secrets`, key: "password" } } },
    ],
    resources: RESOURCES,
    volumeMounts: [
      { name: "config", readOnly: true, mountPath: "/etc/service" },
      { name: "tls", readOnly: true, mountPath: "/etc/tls" },
      { name: "data", mountPath: "/data" },
      TOKEN_MOUNT,
    ],
    livenessProbe: probe("/healthz"),
    readinessProbe: probe("/readyz"),
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: "IfNotPresent",
    securityContext: {
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
    },
  };
}

function statusJson({ name, id }: LabContainer) {
  return {
    name,
    state: { running: { startedAt: TIME } },
    lastState: {},
    ready: true,
    restartCount: 0,
    image: `${IMAGE}-${name}:1.27.4`,
    imageID: `${IMAGE}-${name}@sha256:${DIGEST}`,
    containerID: `containerd://${id}`,
    started: true,
    allocatedResources: RESOURCES.requests,
    resources: RESOURCES,
    volumeMounts: [{ ...TOKEN_MOUNT, recursiveReadOnly: "Disabled" }],
    user: { linux: { uid: 1000, gid: 1000, supplementalGroups: [1000] } },
  };
}

function managed(manager: string, fieldsV1: unknown) {
  return { manager, operation: "Update", apiVersion: "v1", time: TIME, fieldsType: "FieldsV1", fieldsV1 };
}

function managedContainer() {
  return {
    ".": {},
    ...emptyFields(9),
    "f:env": Object.fromEntries(
      ENVIRONMENT_NAMES.map((key) => [`k:{"name":"${key}"}`, { ".": {}, "f:name": {}, "f:value": {} }]),
    ),
    "f:resources": { ".": {}, "f:limits": { "f:cpu": {}, "f:memory": {} }, "f:requests": { "f:cpu": {} } },
    "f:livenessProbe": { "f:httpGet": emptyFields(3), ...emptyFields(4) },
    "f:readinessProbe": { "f:httpGet": emptyFields(3), ...emptyFields(4) },
  };
}

function fieldsOf(labels: Readonly<Record<string, string>>) {
  return Object.fromEntries(Object.keys(labels).map((label) => [`f:${label}`, {}]));
}

function emptyFields(count: number) {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`f:terminationField${index}`, {}]));
}
