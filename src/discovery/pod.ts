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

/** Why a pod could not be read. */
export interface PodProblem {
  /** `namespace/name`, where both can be read. */
  readonly pod?: string;
  /** The first offending field and what is wrong with it. */
  readonly problem: string;
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

/** Reads one item of a parsed `/pods` answer: a `v1.Pod`, of which unknown fields are ignored. */
export function parsePod(item: unknown): Pod | PodProblem {
  const result = podSchema.safeParse(item);
  if (result.success) return toPod(result.data);
  const names = namesSchema.safeParse(item);
  const problem = describeProblem(result.error);
  return names.success
    ? { pod: `${names.data.metadata.namespace}/${names.data.metadata.name}`, problem }
    : { problem };
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

function describeProblem({ issues: [issue] }: z.ZodError): string {
  const path = (issue?.path ?? []).reduce<string>(
    (text, key) =>
      typeof key === "number" ? `${text}[${key}]` : text === "" ? `${String(key)}` : `${text}.${String(key)}`,
    "",
  );
  return `${path === "" ? "the pod itself" : path}: ${issue?.message ?? "invalid"}`;
}
