/** One question to the kubelet and the reading of its answer. */
import { parseConfig } from "../../src/config.ts";
import { createKubeletClient, type KubeletClient } from "../../src/discovery/kubelet.ts";
import { readHostFile } from "../../src/native/host_files.ts";
import { createCertificates } from "../lab/certificates.ts";
import { LabPod, newContainerId } from "../lab/pods.ts";
import type { KubeletMessage } from "./agent_kubelet.ts";
import { fullPod, listOf } from "./agent_pod_list.ts";
import { type Figure, summary } from "./measure.ts";

const PODS = 250;
/** Pods that are not what they were at the poll before: many for a node, whose pods change in minutes. */
const CHANGED = 5;
const WARM_UP = 10;
const ROUNDS = 40;
const NODE = "node";

/**
 * Measures polls, each beside a `JSON.parse` of the same text. As with a kubelet's own answers, most pods are from poll to
 * poll the same in another order; a fresh client, to which all are new, is asked beside.
 */
export async function discovery(interrupted: AbortSignal): Promise<Figure> {
  await using cleanup = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir();
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  const certificates = await createCertificates(directory, NODE);
  const token = crypto.randomUUID();
  await Deno.writeTextFile(`${directory}/token`, token);
  await Deno.writeTextFile(`${directory}/ca.crt`, certificates.ca);
  const worker = cleanup.adopt(
    new Worker(new URL("agent_kubelet.ts", import.meta.url), { type: "module" }),
    (worker) => worker.terminate(),
  );
  const pods = podTexts();
  const kubelet = (text: string) => answerOf(worker, { certificates, token, text });
  const url = await kubelet(listOf(pods));
  const newClient = () => createKubeletClient(kubeletConfig(url, directory), readHostFile);
  const client = newClient();
  const polls: number[] = [], first: number[] = [], parses: number[] = [];
  let size = 0;
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    interrupted.throwIfAborted();
    for (let change = 0; change < CHANGED; change++) pods.push(changed(pods.shift() ?? "", round));
    const text = listOf(pods);
    size = text.length;
    await kubelet(text);
    polls.push(await timed(() => poll(client, interrupted)));
    first.push(await timed(() => poll(newClient(), interrupted)));
    parses.push(await timed(() => JSON.parse(text)));
  }
  const all = summary(first.slice(WARM_UP)).value;
  return {
    ...summary(polls.slice(WARM_UP)),
    unit: "ms",
    reference: summary(parses.slice(WARM_UP)).value,
    note:
      `${ROUNDS} polls of ${
        (size / 1e6).toFixed(1)
      } MB by TLS, in each of which ${CHANGED} pods have changed; ` +
      `${all.toFixed(1)} ms where all have`,
  };
}

async function poll(client: KubeletClient, interrupted: AbortSignal): Promise<void> {
  const { pods, malformed } = await client.fetchPods(interrupted);
  if (pods.length !== PODS || malformed.length > 0) throw new Error("Cannot read the pods of the benchmark");
}

/** Tells a worker's kubelet what to answer and returns its URL; rejects where it cannot start. */
function answerOf(worker: Worker, message: KubeletMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(`Cannot start a kubelet: ${message}`));
    worker.postMessage(message);
  });
}

function kubeletConfig(url: string, directory: string) {
  const settings = {
    KPOD_KUBELET_URL: url,
    KPOD_KUBELET_TOKEN_FILE: `${directory}/token`,
    KPOD_KUBELET_CA_FILE: `${directory}/ca.crt`,
    KPOD_KUBELET_SERVER_NAME: NODE,
  };
  const facts = { arch: Deno.build.arch, programDirectory: directory, hostname: NODE };
  return parseConfig(new Map(Object.entries(settings)), facts).kubelet;
}

/** Each pod as it stands in the list. */
function podTexts(): string[] {
  return Array.from({ length: PODS }, (_, index) => {
    const pod = new LabPod({
      name: `service-${index}-7d9f8c6b54-x7k2p`,
      namespace: `team-${index % 10}`,
      containers: ["main", "proxy"],
    });
    for (const container of pod.containers) container.id = newContainerId();
    return fullPod(pod, NODE);
  });
}

function changed(pod: string, round: number): string {
  return pod.replace(/"resourceVersion":"[0-9]+"/, `"resourceVersion":"${48_211_907 + round}"`);
}

async function timed(work: () => unknown): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
