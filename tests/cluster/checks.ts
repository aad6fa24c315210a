/** What is wrong in what kubectl tells, one sentence for each problem. */

/** Names of all of the agent's objects. */
export const AGENT = "kpod-metrics";

/** An agent's pod. */
export interface AgentPod {
  readonly name: string;
  readonly node: string;
}

/** The first Kubernetes version whose kubelets know `nodes/pods` without being told to. */
const OLDEST_MINOR = 33;

/** Of `kubectl version --output json`. */
export function versionProblems(json: string): string[] {
  const { serverVersion } = JSON.parse(json) as { serverVersion?: { major: string; minor: string } };
  const minor = Number.parseInt(serverVersion?.minor ?? "", 10);
  if (serverVersion?.major === "1" && minor >= OLDEST_MINOR) return [];
  const version = serverVersion === undefined ? "no answer" : `${serverVersion.major}.${serverVersion.minor}`;
  return [`the cluster has ${version}, and manifests/ are for 1.${OLDEST_MINOR} and later: use a newer one`];
}

interface Pod {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

interface ContainerStatus {
  readonly name: string;
  readonly restartCount: number;
}

/** The agents' pods, of `kubectl get pods --output json`. */
export function agentPods(json: string): AgentPod[] {
  return pods(json).map(({ metadata, spec }) => ({ name: metadata.name, node: spec.nodeName ?? "" }));
}

/** Of the agents' pods and the nodes: each node has one, ready, that has never been restarted. */
export function podProblems(podsJson: string, nodesJson: string): string[] {
  const { items } = JSON.parse(nodesJson) as { items: { metadata: { name: string } }[] };
  const all = pods(podsJson);
  const onNode = (name: string) => all.filter(({ spec }) => spec.nodeName === name).length;
  return [
    ...(items.length === 0 ? ["the cluster has no nodes"] : []),
    ...items.map(({ metadata }) => metadata.name).filter((name) => onNode(name) !== 1)
      .map((name) => `node ${name} has ${onNode(name)} agents, not one`),
    ...all.flatMap(({ metadata, status }) => {
      const ready = status.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
      const containers = [...status.initContainerStatuses ?? [], ...status.containerStatuses ?? []];
      return [
        ...(ready === true ? [] : [`pod ${metadata.name} is not ready`]),
        ...containers.filter(({ restartCount }) => restartCount > 0).map(({ name, restartCount }) =>
          `container ${name} of pod ${metadata.name} was restarted ${restartCount} times`
        ),
      ];
    }),
  ];
}

function pods(json: string): readonly Pod[] {
  return (JSON.parse(json) as { items: Pod[] }).items;
}

/** What every service account may do (system:basic-user of Kubernetes' default roles). */
const OF_EVERYBODY =
  /^self(?:subjectreviews\.authentication|subject(?:access|rules)reviews\.authorization)\.k8s\.io$/;

/**
 * Of `kubectl auth can-i --list`: a table whose columns are wide enough for their longest cell.
 *
 * ```text
 * Resources                              Non-Resource URLs   Resource Names   Verbs
 * nodes/pods                             []                  []               [get]
 *                                        [/healthz]          []               [get]
 * ```
 */
export function permissionProblems(table: string): string[] {
  const [head = "", ...rows] = table.split("\n").filter((line) => line.trim() !== "");
  const verbsAt = head.indexOf("Verbs");
  const rights = rows.map((row) => ({
    resource: /^\S*/.exec(row)?.[0] ?? "",
    verbs: row.slice(verbsAt).trim(),
  })).filter(({ resource }) => resource !== "" && !OF_EVERYBODY.test(resource));
  const wanted = rights.some(({ resource, verbs }) => resource === "nodes/pods" && verbs === "[get]");
  return [
    ...(verbsAt < 0 ? [`got no table of permissions: ${head}`] : []),
    ...(wanted ? [] : ["the agent may not get nodes/pods"]),
    ...rights.filter(({ resource, verbs }) => resource !== "nodes/pods" || verbs !== "[get]")
      .map(({ resource, verbs }) => `the agent may ${verbs} ${resource}`),
  ];
}

/** Lines of an agent's log that are neither debug nor info; what is not the agent's own is one of them. */
export function logProblems(log: string): string[] {
  return log.split("\n").filter((line) => line.trim() !== "").filter((line) => {
    try {
      const { level } = JSON.parse(line) as { level?: unknown };
      return level !== "info" && level !== "debug";
    } catch {
      return true;
    }
  }).map((line) => `log: ${line}`);
}

/** Warnings of the preflight that are as they should be in a cluster, by check. */
const EXPECTED_WARNINGS: readonly string[] = [
  // The agent itself listens there.
  "listen address",
];

/** Of `mod.ts doctor --json`. TLS is verified where the kubelet's certificate is ok. */
export function doctorProblems(json: string): string[] {
  const findings = JSON.parse(json) as { check: string; status: string; found: string; advice: string }[];
  const certificate = findings.find(({ check }) => check === "kubelet certificate");
  return [
    ...(certificate === undefined ? ["doctor: has not looked at the kubelet's certificate"] : []),
    ...findings.filter(({ check, status }) => status !== "ok" && !EXPECTED_WARNINGS.includes(check))
      .map(({ check, status, found, advice }) => `doctor: ${status} ${check}: ${found}; ${advice}`),
  ];
}
