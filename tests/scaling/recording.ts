/** One node's exposition as a real agent gives it, taken twice, with work in every pod between. */
import { COLLECTOR_ENTRIES } from "../../src/collectors/list.ts";
import { PROFILES } from "../../src/profiles.ts";
import { AgentProcess, NO_TIMER } from "../agent/agent.ts";
import { goldenPath } from "../agent/golden_file.ts";
import { LabNode } from "../lab/node.ts";
import type { LabPod } from "../lab/pods.ts";
import type { Workload } from "../lab/workload.ts";

export type ProfileName = keyof typeof PROFILES;

export interface Recording {
  readonly before: string;
  readonly after: string;
}

const NAMESPACES = 10;
const ROUNDS = 5;
const BYTES_A_ROUND = 20_000;

/** How much the numbers grow that are not this machine's: see `completed`. */
const GROWTH = 1.02;

/** Records a node with so many pods, each of two containers that talk to those of another pod. */
export async function record(
  pods: number,
  profile: ProfileName = "standard",
): Promise<Recording> {
  await using node = await LabNode.start({ name: "node" });
  const lab: LabPod[] = [];
  for (let index = 0; index < pods; index++) lab.push(await addPod(node, index));
  const clients = await startTalking(node, lab);
  await using agent = await AgentProcess.ready({
    ...node.agentEnvironment(),
    ...NO_TIMER,
    KPOD_PROFILE: profile,
    KPOD_FILTER_EXCLUDE_NAMESPACES: "none",
  });
  await talk(clients);
  const before = await agent.fresh();
  await talk(clients);
  const after = await agent.fresh();
  return completed(profile, before.text, after.text);
}

/** Named as a Deployment's pods are. */
function addPod(node: LabNode, index: number): Promise<LabPod> {
  const [name, namespace] = [`service-${index}-7d9f8c6b54`, `team-${index % NAMESPACES}`];
  return node.addPod({ name, namespace, containers: ["main", "proxy"], ownNetwork: true });
}

/** Joins pods by twos, and gives each `main` a server and each `proxy` a client of the other pod's server. */
async function startTalking(node: LabNode, pods: readonly LabPod[]): Promise<Workload[]> {
  const clients: Workload[] = [];
  for (let index = 0; index + 1 < pods.length; index += 2) {
    const [one, other] = [pods[index], pods[index + 1]];
    if (one === undefined || other === undefined) continue;
    const addresses = await node.link(one, other);
    for (
      const [server, client, address] of [[one, other, addresses[0]], [other, one, addresses[1]]] as const
    ) {
      const { port } = await node.run(server.container("main"), ["tcp-server", address, "0"]);
      clients.push(await node.run(client.container("proxy"), ["tcp-client", address, String(port)]));
    }
  }
  return clients;
}

async function talk(clients: readonly Workload[]): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(clients.map((client) => client.go(BYTES_A_ROUND)));
  }
}

/**
 * With the families that this machine's cgroups lack a controller for: taken from the committed exposition of the
 * reference pod, so that every container has the series that it has on a node where all are enabled.
 */
function completed(profile: ProfileName, before: string, after: string): Recording {
  const containers = [...after.matchAll(/^kpod_cpu_usage_seconds_total\{(.*)\} /gm)].map(([, labels = ""]) =>
    labels
  );
  const missing = Deno.readTextFileSync(goldenPath("reference_pod.prom")).split("\n\n").filter((family) => {
    const [, name = ""] = /^# HELP (\S+)/.exec(family) ?? [];
    return namesOf(profile).has(name) && !after.includes(`# HELP ${name} `);
  });
  const added = (factor: number) =>
    missing.map((family) => {
      const [help = "", type = "", ...series] = family.trimEnd().split("\n");
      const lines = containers.flatMap((labels) =>
        series.map((line) =>
          line.replace(/namespace=.*?,node="node1"/, labels).replace(/(?<= )\S+$/, (value) => {
            const number = Number(value) * factor;
            return String(value.includes(".") ? Number(number.toFixed(6)) : Math.ceil(number));
          })
        )
      );
      return [help, type, ...lines].join("\n");
    });
  const join = (text: string, factor: number) => `${[text.trimEnd(), ...added(factor)].join("\n\n")}\n`;
  return { before: join(before, 1), after: join(after, GROWTH) };
}

/** The metrics of a profile's collectors. */
function namesOf(profile: ProfileName): Set<string> {
  const entries = COLLECTOR_ENTRIES.filter(({ name }) =>
    (PROFILES[profile] as readonly string[]).includes(name)
  );
  return new Set(entries.flatMap(({ descriptors }) => descriptors.map(({ name }) => name)));
}
