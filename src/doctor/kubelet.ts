/** The kubelet: whether it answers this identity, and whether its pods are those of the cgroup tree. */
import type { ContainerCgroup } from "../cgroup/hierarchy.ts";
import { createPodFilter, type PodFilterSettings } from "../discovery/filter.ts";
import { KubeletError, type KubeletErrorReason } from "../discovery/kubelet_error.ts";
import type { PodList } from "../discovery/pod_list.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";

/** How one request for `/pods` ended. */
export type KubeletOutcome = { readonly list: PodList } | { readonly error: unknown };

/** Asks once; never rejects. */
export async function askKubelet(fetchPods: () => Promise<PodList>): Promise<KubeletOutcome> {
  try {
    return { list: await fetchPods() };
  } catch (error) {
    return { error };
  }
}

const REACHED = "kubelet";
const AUTHENTICATED = "kubelet authentication";
const AUTHORIZED = "kubelet authorization";

/** What a failure is a failure of. A kubelet asks who it is first, and then what they may do. */
const STAGES: Readonly<Record<KubeletErrorReason, string>> = {
  connect: REACHED,
  tls: REACHED,
  timeout: REACHED,
  http: REACHED,
  body: REACHED,
  credentials: AUTHENTICATED,
  unauthorized: AUTHENTICATED,
  forbidden: AUTHORIZED,
};

/** Up to the first check that fails: what comes after it is not known. `timeoutMs` is how long the agent would wait. */
export function kubeletFindings(
  { url, timeoutMs }: { readonly url: URL; readonly timeoutMs: number },
  outcome: KubeletOutcome,
): Finding[] {
  const answers = ok(REACHED, `${url.origin} answers`);
  const accepted = ok(AUTHENTICATED, url.protocol === "https:" ? "accepted" : "none, over plain HTTP");
  if ("list" in outcome) {
    return [answers, accepted, ok(AUTHORIZED, `may list pods: ${outcome.list.pods.length} listed`)];
  }
  const { error } = outcome;
  const message = error instanceof Error ? error.message : String(error);
  const reason = error instanceof KubeletError ? error.reason : "body";
  // The kubelet's errors are sentences of the form "Cannot …: got …; do …".
  const [, found = message, told = "check that KPOD_KUBELET_URL is a kubelet's address"] =
    /^([^;]+); (.+)$/s.exec(message) ?? [];
  // This waits for a shorter time than the agent does.
  const advice = reason === "timeout"
    ? `see in the kubelet's log why it is slow; the agent waits ${timeoutMs} ms (KPOD_KUBELET_TIMEOUT_MS)`
    : told;
  const stage = STAGES[reason];
  return [
    ...(reason === "unauthorized" || reason === "forbidden" ? [answers] : []),
    ...(reason === "forbidden" ? [accepted] : []),
    fail(stage, found, advice),
  ];
}

/** Compares the kubelet's pods with the cgroups that exist. */
export function podFindings(
  { pods, malformed }: PodList,
  containers: readonly ContainerCgroup[],
  filter: PodFilterSettings,
): Finding[] {
  const listed = new Map(
    pods.map(({ uid, containers }) => [uid, new Set(containers.flatMap(({ ids }) => ids))]),
  );
  const present = new Set(containers.map(({ podUid }) => podUid));
  const named = containers.filter(({ podUid, containerId }) => listed.get(podUid)?.has(containerId));
  const unknown = containers.filter(({ podUid }) => !listed.has(podUid));
  const sandboxes = containers.length - named.length - unknown.length;
  const withCgroups = pods.filter(({ uid }) => present.has(uid));
  const found =
    `${withCgroups.length} of ${pods.length} listed pods have cgroups; of ${containers.length} containers' ` +
    `cgroups ${named.length} have a name, ${sandboxes} are sandboxes, ${unknown.length} are of unlisted pods`;
  const reported = withCgroups.filter(createPodFilter(filter)).length;
  return [
    matching(found, named.length, containers.length, unknown.length),
    filtered(reported, withCgroups.length),
    ...(malformed[0] === undefined ? [] : [
      warn(
        "readable pods",
        `${malformed.length} cannot be read: ${malformed[0].pod}, ${malformed[0].problem}`,
        "report this with the kubelet's version: these pods have no series",
      ),
    ]),
  ];
}

function matching(found: string, named: number, containers: number, unknown: number): Finding {
  const isElsewhere = containers > 0 && named === 0;
  if (!isElsewhere && unknown === 0) return ok("pods and cgroups", found);
  const advice =
    "run this again in a minute: a kubelet lists not all pods at first after its restart, and a removed " +
    "pod's cgroups live on for a while; if it stays so, check that KPOD_KUBELET_URL is this node's kubelet and " +
    "KPOD_CGROUP_ROOT its host's hierarchy";
  return (isElsewhere ? fail : warn)("pods and cgroups", found, advice);
}

function filtered(reported: number, pods: number): Finding {
  const found = `${reported} of ${pods} pods with cgroups are reported`;
  if (reported > 0 || pods === 0) return ok("pod filter", found);
  const advice = "widen KPOD_FILTER_NAMESPACES, KPOD_FILTER_EXCLUDE_NAMESPACES or KPOD_FILTER_LABEL_SELECTOR";
  return warn("pod filter", found, advice);
}
