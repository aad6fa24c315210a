/** What a node does to its pods beyond starting and stopping them. */
import type { LabNode } from "../lab/node.ts";
import type { LabPod } from "../lab/pods.ts";
import { eventually } from "./agent.ts";

/**
 * Waits for this many answers of the kubelet that were made after this was called. The agent has taken in all of
 * them but the last.
 */
export async function answered(node: LabNode, times: number): Promise<void> {
  const enough = node.kubelet.requests + times;
  await eventually("the kubelet is asked", () => node.kubelet.requests >= enough || "no request");
}

/** Ends a pod's containers and takes its cgroups away; the kubelet lists it on, as it does a Job's. */
export async function finish(node: LabNode, pod: LabPod): Promise<void> {
  for (const container of pod.containers) {
    await node.stopContainer(container, { exitCode: 0, reason: "Completed" });
  }
  pod.phase = "Succeeded";
  const removal = node.removePod(pod);
  pod.listed = true;
  await removal;
  node.pods.push(pod);
}

/** Takes a pod without cgroups off the kubelet's list. */
export function forget(node: LabNode, pod: LabPod): void {
  node.pods.splice(node.pods.indexOf(pod), 1);
}
