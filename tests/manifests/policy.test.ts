/** What the DaemonSet may do on a node, as rules, each of which is seen to be broken by a change that breaks it. */
import assert from "node:assert/strict";
import type { IDaemonSet } from "kubernetes-models/apps/v1/DaemonSet";
import type { IContainer } from "kubernetes-models/v1/Container";
import type { IVolumeMount } from "kubernetes-models/v1/VolumeMount";
import { agentOf, capabilities, certificateCopierOf, daemonSet, podOf } from "./manifests.ts";
import { inAgent, inPod, patched } from "./merge_patch.ts";

interface Rule {
  readonly rule: string;
  readonly holds: (set: IDaemonSet) => void;
  /** Patches to the DaemonSet, each of which breaks the rule. */
  readonly brokenBy: readonly unknown[];
}

const RULES: readonly Rule[] = [
  {
    rule: "no container is privileged or may become more than it is",
    holds: (set) => {
      for (const { securityContext } of containers(set)) {
        assert.notEqual(securityContext?.privileged, true);
        assert.equal(securityContext?.allowPrivilegeEscalation, false);
      }
    },
    brokenBy: [
      inAgent({ securityContext: { privileged: true } }),
      inAgent({ securityContext: { allowPrivilegeEscalation: null } }),
      copier({ securityContext: { allowPrivilegeEscalation: true } }),
      inPod({ containers: [{ name: "another" }] }),
    ],
  },
  {
    rule: "the agent has three capabilities and no others, as the user who keeps them",
    holds: (set) => {
      assert.equal(agentOf(set).securityContext?.runAsUser, 0);
      assert.deepEqual(agentOf(set).securityContext?.capabilities?.drop, ["ALL"]);
      assert.deepEqual(capabilities(set), ["BPF", "PERFMON", "SYS_PTRACE"]);
    },
    brokenBy: [
      inAgent({ securityContext: { runAsUser: 65534 } }),
      inAgent({ securityContext: { runAsUser: null } }),
      inAgent({ securityContext: { capabilities: { drop: null } } }),
      inAgent({ securityContext: { capabilities: { add: ["BPF", "PERFMON", "SYS_ADMIN"] } } }),
      inAgent({ securityContext: { capabilities: { add: ["BPF", "PERFMON"] } } }),
    ],
  },
  {
    rule: "the init container has no capability and no user's rights",
    holds: (set) => {
      const { securityContext } = certificateCopierOf(set);
      assert.deepEqual(securityContext?.capabilities, { drop: ["ALL"] });
      assert.deepEqual([securityContext?.runAsUser, securityContext?.runAsGroup], [65534, 65534]);
      assert.equal(securityContext?.runAsNonRoot, true);
    },
    brokenBy: [
      copier({ securityContext: { capabilities: { add: ["DAC_READ_SEARCH"] } } }),
      copier({ securityContext: { runAsUser: 0 } }),
      copier({ securityContext: { runAsNonRoot: null } }),
    ],
  },
  {
    rule: "the pod shares no namespace with the host",
    holds: (set) => {
      const { hostIPC, hostNetwork, hostPID } = podOf(set);
      for (const shared of [hostIPC, hostNetwork, hostPID]) assert.notEqual(shared, true);
      for (const { ports = [] } of containers(set)) {
        assert.ok(ports.every((port) => port.hostPort === undefined));
      }
    },
    brokenBy: [
      inPod({ hostIPC: true }),
      inPod({ hostNetwork: true }),
      inPod({ hostPID: true }),
      inAgent({ ports: [{ name: "metrics", containerPort: 9090, hostPort: 9090 }] }),
    ],
  },
  {
    rule: "system calls are filtered, and SELinux lets those through that are needed",
    holds: (set) => {
      assert.deepEqual(podOf(set).securityContext, {
        seccompProfile: { type: "RuntimeDefault" },
        seLinuxOptions: { type: "spc_t" },
      });
      for (const { securityContext } of containers(set)) {
        assert.deepEqual([securityContext?.seccompProfile, securityContext?.seLinuxOptions], [
          undefined,
          undefined,
        ]);
      }
    },
    brokenBy: [
      inPod({ securityContext: { seccompProfile: null } }),
      inPod({ securityContext: { seLinuxOptions: null } }),
      inAgent({ securityContext: { seccompProfile: { type: "Unconfined" } } }),
    ],
  },
  {
    rule: "no container writes to its own root",
    holds: (set) => {
      for (const { securityContext } of containers(set)) {
        assert.equal(securityContext?.readOnlyRootFilesystem, true);
      }
    },
    brokenBy: [
      inAgent({ securityContext: { readOnlyRootFilesystem: false } }),
      copier({ securityContext: { readOnlyRootFilesystem: null } }),
    ],
  },
  {
    rule: "the agent writes to no volume, nobody to the host's, and not below them",
    holds: (set) => {
      assert.ok(mountsOf(agentOf(set)).every(({ readOnly }) => readOnly === true));
      for (const { readOnly, recursiveReadOnly, mountPropagation } of hostMounts(set)) {
        assert.deepEqual([readOnly, recursiveReadOnly, mountPropagation], [true, "IfPossible", undefined]);
      }
    },
    brokenBy: [
      inAgent({ volumeMounts: [{ mountPath: "/host/proc", readOnly: false }] }),
      inAgent({ volumeMounts: [{ mountPath: "/host/sys/fs/cgroup", recursiveReadOnly: null }] }),
      inAgent({ volumeMounts: [{ mountPath: "/var/run/kpod-metrics", readOnly: null }] }),
      // The API refuses the two together.
      inAgent({ volumeMounts: [{ mountPath: "/host/proc", mountPropagation: "HostToContainer" }] }),
      copier({ volumeMounts: [{ mountPath: "/host/kubelet-pki", readOnly: null }] }),
    ],
  },
  {
    rule:
      "of the host, the agent sees /proc and the cgroups, and the init container the kubelet's certificates",
    holds: (set) => {
      const seen = (container: IContainer) => hostPathsOf(set, container);
      assert.deepEqual(seen(agentOf(set)), {
        "/host/proc": "/proc",
        "/host/sys/fs/cgroup": "/sys/fs/cgroup",
      });
      assert.deepEqual(seen(certificateCopierOf(set)), { "/host/kubelet-pki": "/var/lib/kubelet/pki" });
      const types = (podOf(set).volumes ?? []).flatMap(({ name, hostPath }) =>
        hostPath ? [[name, hostPath.type]] : []
      );
      assert.deepEqual(types, [["proc", "Directory"], ["cgroup", "Directory"], [
        "kubelet-pki",
        "DirectoryOrCreate",
      ]]);
    },
    brokenBy: [
      inAgent({ volumeMounts: [{ mountPath: "/pki", name: "kubelet-pki", readOnly: true }] }),
      copier({ volumeMounts: [{ mountPath: "/host/proc", name: "proc", readOnly: true }] }),
      inPod({ volumes: [{ name: "cgroup", hostPath: { path: "/sys" } }] }),
      inPod({ volumes: [{ name: "proc", hostPath: { type: null } }] }),
    ],
  },
  {
    rule: "the agent alone has a token, and it expires",
    holds: (set) => {
      const { automountServiceAccountToken, volumes = [] } = podOf(set);
      assert.equal(automountServiceAccountToken, false);
      const tokens = volumes.flatMap(({ name, projected }) =>
        (projected?.sources ?? []).flatMap(({ serviceAccountToken: token }) => token ? [{ name, token }] : [])
      );
      assert.deepEqual(tokens.map(({ name, token }) => [name, token.path, token.audience]), [
        ["service-account", "token", undefined],
      ]);
      assert.ok(tokens.every(({ token }) => Number(token.expirationSeconds) <= 3600));
      const holders = containers(set).filter((one) =>
        mountsOf(one).some(({ name }) => name === "service-account")
      );
      assert.deepEqual(holders.map(({ name }) => name), ["kpod-metrics"]);
    },
    brokenBy: [
      inPod({ automountServiceAccountToken: null }),
      inPod({ volumes: [{ name: "service-account", projected: { sources: [] } }] }),
      inPod({
        volumes: [{
          name: "service-account",
          projected: { sources: [{ serviceAccountToken: { path: "token" } }] },
        }],
      }),
      copier({ volumeMounts: [{ mountPath: "/token", name: "service-account" }] }),
    ],
  },
  {
    rule: "no Service of the namespace gives it variables",
    holds: (set) => assert.equal(podOf(set).enableServiceLinks, false),
    brokenBy: [inPod({ enableServiceLinks: true }), inPod({ enableServiceLinks: null })],
  },
  {
    rule: "it runs on every Linux node, before what the node could do without",
    holds: (set) => {
      const { tolerations, nodeSelector, affinity, priorityClassName } = podOf(set);
      assert.deepEqual(tolerations, [{ operator: "Exists" }]);
      assert.deepEqual(nodeSelector, { "kubernetes.io/os": "linux" });
      assert.equal(affinity, undefined);
      assert.equal(priorityClassName, "system-node-critical");
    },
    brokenBy: [
      inPod({ tolerations: [{ key: "node-role.kubernetes.io/control-plane", operator: "Exists" }] }),
      inPod({ nodeSelector: { pool: "web" } }),
      inPod({ priorityClassName: null }),
    ],
  },
  {
    rule: "it is given what it needs, killed only far beyond that, and never throttled",
    holds: (set) => {
      for (const { resources } of containers(set)) {
        assert.deepEqual(Object.keys(resources?.limits ?? {}), ["memory"]);
        assert.deepEqual(Object.keys(resources?.requests ?? {}), ["cpu", "memory"]);
      }
      const { requests, limits } = agentOf(set).resources ?? {};
      // Measured (docs/performance.md): 220 containers in standard, 1,000 in comprehensive, and the maps with 64 CPUs.
      assert.ok(mebibytes(requests?.["memory"]) >= 120 + 34);
      assert.ok(mebibytes(limits?.["memory"]) >= 4 * (186 + 37));
    },
    brokenBy: [
      inAgent({ resources: { limits: { cpu: "1" } } }),
      inAgent({ resources: { limits: { memory: "512Mi" } } }),
      inAgent({ resources: { requests: { memory: "128Mi" } } }),
      inAgent({ resources: { requests: { cpu: null } } }),
      copier({ resources: null }),
    ],
  },
  {
    rule: "it is restarted when it hangs, and only then; it is ready when its numbers are true",
    holds: (set) => {
      const { startupProbe, livenessProbe, readinessProbe } = agentOf(set);
      const paths = [startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet?.path);
      assert.deepEqual(paths, ["/healthz", "/healthz", "/readyz"]);
      for (const probe of [startupProbe, livenessProbe]) {
        assert.ok(Number(probe?.periodSeconds) * Number(probe?.failureThreshold) >= 60);
        assert.ok(Number(probe?.timeoutSeconds) >= 2);
      }
      // The server's grace for running requests is two.
      assert.ok(Number(podOf(set).terminationGracePeriodSeconds) >= 10);
    },
    brokenBy: [
      inAgent({ livenessProbe: { httpGet: { path: "/readyz" } } }),
      inAgent({ readinessProbe: null }),
      inAgent({ startupProbe: { failureThreshold: 3 } }),
      inAgent({ livenessProbe: { timeoutSeconds: 1 } }),
      inAgent({ livenessProbe: { failureThreshold: 1 } }),
      inPod({ terminationGracePeriodSeconds: 1 }),
    ],
  },
  {
    rule: "a bad version or setting stops at the first nodes",
    holds: (set) => {
      assert.deepEqual(set.spec?.updateStrategy, {
        type: "RollingUpdate",
        rollingUpdate: { maxUnavailable: "10%" },
      });
    },
    brokenBy: [
      { spec: { updateStrategy: { type: "OnDelete" } } },
      { spec: { updateStrategy: { rollingUpdate: { maxUnavailable: "100%" } } } },
    ],
  },
];

for (const { rule, holds, brokenBy } of RULES) {
  Deno.test(`DaemonSet: ${rule}`, () => {
    holds(daemonSet());
    for (const patch of brokenBy) {
      const broken = patched(daemonSet(), patch);
      assert.throws(() => holds(broken), assert.AssertionError, `not broken by ${JSON.stringify(patch)}`);
    }
  });
}

function copier(patch: object): unknown {
  return inPod({ initContainers: [{ name: "kubelet-certificate", ...patch }] });
}

function containers(set: IDaemonSet): readonly IContainer[] {
  const { initContainers = [], containers } = podOf(set);
  return [...initContainers, ...containers];
}

function mountsOf(container: IContainer): readonly IVolumeMount[] {
  return container.volumeMounts ?? [];
}

function hostPathOf(set: IDaemonSet, volume: string): string | undefined {
  return podOf(set).volumes?.find(({ name }) => name === volume)?.hostPath?.path;
}

function hostMounts(set: IDaemonSet): IVolumeMount[] {
  return containers(set).flatMap(mountsOf).filter(({ name }) => hostPathOf(set, name) !== undefined);
}

/** Where in the container, and which path of the host. */
function hostPathsOf(set: IDaemonSet, container: IContainer): Record<string, string> {
  return Object.fromEntries(
    mountsOf(container).flatMap(({ name, mountPath }) => {
      const path = hostPathOf(set, name);
      return path === undefined ? [] : [[mountPath, path]];
    }),
  );
}

function mebibytes(quantity: string | number | undefined): number {
  const [, number, unit] = /^(\d+)(Mi|Gi)$/.exec(String(quantity)) ?? [];
  return Number(number) * (unit === "Gi" ? 1024 : 1);
}
