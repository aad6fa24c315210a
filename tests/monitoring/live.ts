/** A real Prometheus that scrapes real agents whose every series moves, for expressions to be tried on. */
import { needsPrograms } from "../kernel/requirements.ts";
import { startDemo } from "../lab/demo.ts";
import { LabNode } from "../lab/node.ts";
import { AgentProcess, eventually, type Labels, SHORT_INTERVALS } from "../agent/agent.ts";
import { isOnPath, Prometheus, type ScrapeJob } from "../agent/prometheus.ts";
import { RECORDED_NODE, startRecordedNode } from "./recorded_node.ts";
import {
  BROKEN_NODE,
  DEAD_ADDRESS,
  DOWN_NODE,
  serveClusterState,
  SMALL_NODE,
  startBrokenAgent,
  startSmallAgent,
} from "./troubles.ts";

/** A node with pods whose every eBPF metric, interface and filesystem series is there. */
export const LAB_NODE = "lab-node";
export { RECORDED_NODE };

/** A range for rates that holds several scrapes, which come every second. */
export const RANGE = "6s";
const RANGE_SCRAPES = 6;

/** For the options of `Deno.test`. */
export const needsLive = { ignore: needsPrograms.ignore || !isOnPath("prometheus") };

/** One series of an instant vector, with its name as the label `__name__`; a scalar is one without labels. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** Evaluates PromQL now, or at a time in milliseconds since the epoch; throws what Prometheus says is wrong. */
export type Query = (expression: string, time?: number) => Promise<Sample[]>;

export interface LiveOptions {
  /** Rule files to load. */
  readonly ruleFiles?: readonly string[];
}

/** What a test may want to know of what is running. */
export interface Live {
  /** Of Prometheus: `http://127.0.0.1:<port>`. */
  readonly url: string;
  /** By the value of the label `node`. */
  readonly agents: ReadonlyMap<string, AgentProcess>;
}

/**
 * Runs `run` when there are enough samples for a rate over `RANGE` of every series: of a node with pods under load, of
 * one whose files were recorded, and of the troubles that healthy ones do not show.
 */
export async function withLivePrometheus(
  run: (query: Query, live: Live) => Promise<void>,
  { ruleFiles = [] }: LiveOptions = {},
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await LabNode.start({ name: LAB_NODE }));
  // No agent is ready where there are no pods.
  await node.addPod({ name: "idle", namespace: "demo" });
  const agents = await startAgents(stack, node);
  const clusterState = stack.use(serveClusterState(LAB_NODE));
  const jobs = [agentJob(agents), {
    job_name: "kube-state-metrics",
    static_configs: [{ targets: [`127.0.0.1:${clusterState.addr.port}`] }],
  }];
  const prometheus = stack.use(await Prometheus.startJobs(jobs, ruleFiles));
  const query: Query = async (expression, time) =>
    (await prometheus.query(expression, time)).map(({ labels, samples }) => ({
      labels,
      value: samples.at(-1)?.[1] ?? NaN,
    }));
  await untilScraped(query, agents, 1);
  // Only now, so that counters are seen to begin at 0.
  const errors: Error[] = [];
  const demo = await startDemo(node, (error) => errors.push(error));
  stack.defer(() => demo.stop());
  await untilScraped(query, agents, RANGE_SCRAPES);
  await run(query, { url: prometheus.url, agents });
  if (errors.length > 0) throw errors[0];
}

/** Waits until every agent has been scraped so many times from now on. */
async function untilScraped(
  query: Query,
  agents: ReadonlyMap<string, AgentProcess>,
  times: number,
): Promise<void> {
  const began = Date.now();
  await eventually(`all agents have been scraped ${times} times`, async () => {
    const milliseconds = Math.max(1, Date.now() - began);
    const scrapes = await query(`sum by (node) (sum_over_time(up[${milliseconds}ms]))`);
    const counts = new Map(scrapes.map(({ labels, value }) => [labels.node, value]));
    const missing = [...agents.keys()].filter((node) => (counts.get(node) ?? 0) < times);
    return missing.length === 0 || `too few of ${missing}`;
  });
}

/** Starts all agents at once; what has started goes with the stack even if another one cannot. */
async function startAgents(
  stack: AsyncDisposableStack,
  node: LabNode,
): Promise<ReadonlyMap<string, AgentProcess>> {
  const settings = { ...node.agentEnvironment(), ...SHORT_INTERVALS, KPOD_PROFILE: "comprehensive" };
  const starting = new Map([
    [LAB_NODE, AgentProcess.ready(settings).then((agent) => ({ agent: stack.use(agent) }))],
    [RECORDED_NODE, startRecordedNode().then((owned) => stack.use(owned))],
    [SMALL_NODE, startSmallAgent(node).then((owned) => stack.use(owned))],
    [BROKEN_NODE, startBrokenAgent().then((owned) => stack.use(owned))],
  ]);
  const results = await Promise.allSettled(starting.values());
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return new Map(
    await Promise.all([...starting].map(async ([name, started]) => [name, (await started).agent] as const)),
  );
}

/** As the DaemonSet's pods are scraped: their own labels, but those that the agent gives to series about other pods. */
function agentJob(agents: ReadonlyMap<string, AgentProcess>): ScrapeJob {
  const addresses = [...agents].map(([node, { url }]) => [node, new URL(url).host] as const);
  return {
    job_name: "kpod-metrics",
    honor_labels: true,
    static_configs: [...addresses, [DOWN_NODE, DEAD_ADDRESS] as const].map(([node, address], index) => ({
      targets: [address],
      labels: { namespace: "kpod-metrics", pod: `kpod-metrics-${index}`, container: "kpod-metrics", node },
    })),
  };
}
