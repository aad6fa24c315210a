/** The kubelet's `/pods` answer, reduced to what the agent needs to name a cgroup. */
import { z } from "zod";

/** A container of a pod, of any kind; a sidecar is an init container that keeps running. */
export interface Container {
  readonly name: string;
  readonly kind: "container" | "init" | "ephemeral";
  /**
   * The runtime's ids, without `containerd://`: the present instance's first, then that of the instance that
   * ended before it. Empty while the first instance is still to be created.
   */
  readonly ids: readonly string[];
}

/** A pod of this node. */
export interface Pod {
  /** The uid that the pod's cgroup carries. */
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Whether the pod uses the node's network namespace, so that interface counters would be the node's. */
  readonly hostNetwork: boolean;
  /** Those the kubelet reports a status for; none yet for a pod it has just learnt of. */
  readonly containers: readonly Container[];
}

/** A pod that could not be read. */
export interface MalformedPod {
  /** `namespace/name` where both can be read, else its place, as `items[3]`. */
  readonly pod: string;
  /** The first offending field and what is wrong with it. */
  readonly problem: string;
}

/** What one answer of the kubelet says. */
export interface PodList {
  readonly pods: readonly Pod[];
  readonly malformed: readonly MalformedPod[];
}

const stateSchema = z.object({
  terminated: z.object({ containerID: z.string().nullish() }).nullish(),
});

const statusSchema = z.object({
  name: z.string().min(1),
  containerID: z.string().nullish(),
  state: stateSchema.nullish(),
  lastState: stateSchema.nullish(),
});

const podSchema = z.object({
  metadata: z.object({
    uid: z.string().min(1),
    namespace: z.string().min(1),
    name: z.string().min(1),
    labels: z.record(z.string(), z.string()).nullish(),
    annotations: z.record(z.string(), z.string()).nullish(),
  }),
  spec: z.object({ hostNetwork: z.boolean().nullish() }).nullish(),
  status: z.object({
    containerStatuses: z.array(statusSchema).nullish(),
    initContainerStatuses: z.array(statusSchema).nullish(),
    ephemeralContainerStatuses: z.array(statusSchema).nullish(),
  }).nullish(),
});

const namesSchema = z.object({
  metadata: z.object({ namespace: z.string().min(1), name: z.string().min(1) }),
});

/**
 * Reads a parsed `/pods` answer (a `v1.PodList`, of which unknown fields are ignored). A pod that cannot be
 * read is left out and recorded; `"items": null` is an empty list, which a kubelet answers after its restart.
 *
 * @throws {Error} if the body is not a PodList.
 */
export function parsePodList(body: unknown): PodList {
  const pods: Pod[] = [];
  const malformed: MalformedPod[] = [];
  for (const [index, item] of itemsOf(body).entries()) {
    const result = podSchema.safeParse(item);
    if (result.success) pods.push(toPod(result.data));
    else malformed.push({ pod: describePod(item, index), problem: describeProblem(result.error) });
  }
  return { pods, malformed };
}

/** Many times what any node runs: looking at each of millions would hold the agent up. */
const MOST_PODS = 10_000;

function itemsOf(body: unknown): readonly unknown[] {
  const { kind, items } = (body ?? {}) as { kind?: unknown; items?: unknown };
  if (kind === "PodList" && items === null) return [];
  if (kind === "PodList" && Array.isArray(items) && items.length <= MOST_PODS) return items;
  const got = kind === "PodList" && Array.isArray(items)
    ? `${items.length} pods, more than ${MOST_PODS}`
    : kind === "PodList"
    ? "a PodList without a list of items"
    : typeof kind === "string"
    ? `kind ${JSON.stringify(kind)}`
    : body === null || typeof body !== "object"
    ? `the JSON value ${JSON.stringify(body)?.slice(0, 40)}`
    : Array.isArray(body)
    ? "a JSON array"
    : "a JSON object without a kind";
  throw new Error(`Cannot read the kubelet's answer: expected a PodList, got ${got}`);
}

function toPod({ metadata, spec, status }: z.infer<typeof podSchema>): Pod {
  return {
    uid: cgroupUid(metadata),
    namespace: metadata.namespace,
    name: metadata.name,
    labels: metadata.labels ?? {},
    hostNetwork: spec?.hostNetwork ?? false,
    containers: [
      ...toContainers("container", status?.containerStatuses),
      ...toContainers("init", status?.initContainerStatuses),
      ...toContainers("ephemeral", status?.ephemeralContainerStatuses),
    ],
  };
}

/**
 * A kubelet names a pod's cgroup for the uid it knows the pod by. For a static pod that is the hash of its
 * manifest; its mirror pod in the API server has another uid, but carries the hash as `kubernetes.io/config.mirror`
 * (kubernetes pkg/kubelet/pod/mirror_client.go). The kubelet's own list has the static pod itself, whose uid is
 * the hash already. `kubernetes.io/config.hash` says the same of both, but must not be believed: on a pod from
 * the API server it is any text its author chose, and would let one pod pass for another. The kubelet deletes a
 * pod that feigns the mirror annotation and never lists it.
 */
function cgroupUid(metadata: z.infer<typeof podSchema>["metadata"]): string {
  return metadata.annotations?.["kubernetes.io/config.mirror"] || metadata.uid;
}

function toContainers(
  kind: Container["kind"],
  statuses: readonly z.infer<typeof statusSchema>[] | null | undefined,
): Container[] {
  return (statuses ?? []).map(({ name, containerID, state, lastState }) => {
    const ids = [containerID, state?.terminated?.containerID, lastState?.terminated?.containerID]
      .map((id) => id?.replace(/^[^/]*:\/\//, "") ?? "")
      .filter((id) => id !== "");
    return { name, kind, ids: [...new Set(ids)] };
  });
}

function describePod(item: unknown, index: number): string {
  const names = namesSchema.safeParse(item);
  return names.success ? `${names.data.metadata.namespace}/${names.data.metadata.name}` : `items[${index}]`;
}

function describeProblem({ issues: [issue] }: z.ZodError): string {
  const path = (issue?.path ?? []).reduce<string>(
    (text, key) =>
      typeof key === "number" ? `${text}[${key}]` : text === "" ? `${String(key)}` : `${text}.${String(key)}`,
    "",
  );
  return `${path === "" ? "the pod itself" : path}: ${issue?.message ?? "invalid"}`;
}
