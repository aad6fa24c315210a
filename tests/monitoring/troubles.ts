/** What healthy agents do not show: agents in trouble, one that does not answer, and a node that has none. */
import { AgentProcess, SHORT_INTERVALS } from "../agent/agent.ts";
import { LabNode } from "../lab/node.ts";

/** The node of an agent that has room for one container, and watches a node with more. */
export const SMALL_NODE = "small-node";
/**
 * The node of an agent without eBPF objects, without a view of the host's processes, and with a kubelet that named only
 * one of two pods and now fails.
 */
export const BROKEN_NODE = "broken-node";
/** The node of an agent that does not answer. */
export const DOWN_NODE = "down-node";
/** Where nothing answers: no ordinary program gets this port. */
export const DEAD_ADDRESS = "127.0.0.1:1";
/** A node without an agent. */
const BARE_NODE = "bare-node";

/** An agent that goes with all that was made for it. */
export type OwnedAgent = { readonly agent: AgentProcess } & AsyncDisposable;

/** `node` has several pods. */
export async function startSmallAgent(node: LabNode): Promise<OwnedAgent> {
  const settings = { ...node.agentEnvironment(), NODE_NAME: SMALL_NODE, KPOD_BPF_MAX_CGROUPS: "1" };
  const agent = await AgentProcess.ready({ ...settings, ...SHORT_INTERVALS });
  return { agent, [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() };
}

export async function startBrokenAgent(): Promise<OwnedAgent> {
  await using stack = new AsyncDisposableStack();
  const empty = await Deno.makeTempDir({ prefix: "kpod-empty-" });
  stack.defer(() => Deno.remove(empty));
  const node = stack.use(await LabNode.start({ name: BROKEN_NODE }));
  await node.addPod({ name: "named", ownNetwork: true });
  (await node.addPod({ name: "unnamed" })).listed = false;
  const agent = stack.use(
    await AgentProcess.ready({
      ...node.agentEnvironment(),
      ...SHORT_INTERVALS,
      KPOD_BPF_PROGRAM_DIR: empty,
      KPOD_PROC_ROOT: empty,
    }),
  );
  node.kubelet.answer = { kind: "status", status: 500 };
  const owned = stack.move();
  return { agent, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Serves what kube-state-metrics says of a cluster whose DaemonSet has an agent on one of two nodes. */
export function serveClusterState(nodeWithAgent: string): Deno.HttpServer<Deno.NetAddr> {
  const agent = 'namespace="kpod-metrics",pod="kpod-metrics-0"';
  const set = 'namespace="kpod-metrics",daemonset="kpod-metrics"';
  const text = `
kube_node_info{node="${nodeWithAgent}"} 1
kube_node_info{node="${BARE_NODE}"} 1
kube_pod_info{${agent},node="${nodeWithAgent}",created_by_kind="DaemonSet",created_by_name="kpod-metrics"} 1
kube_pod_status_ready{${agent},condition="true"} 1
kube_daemonset_status_desired_number_scheduled{${set}} 2
kube_daemonset_status_number_ready{${set}} 1
`;
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(text, { headers: { "content-type": "text/plain; version=0.0.4" } }),
  );
}
