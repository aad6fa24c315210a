/** One question to the kubelet and the reading of its answer. */
import { parseConfig } from "../../src/config.ts";
import { createKubeletClient } from "../../src/discovery/kubelet.ts";
import { parsePodList } from "../../src/discovery/pod.ts";
import { readHostFile } from "../../src/native/host_files.ts";
import { createCertificates } from "../lab/certificates.ts";
import { LabPod, newContainerId } from "../lab/pods.ts";
import type { KubeletMessage } from "./agent_kubelet.ts";
import { fullPodList } from "./agent_pod_list.ts";
import { type Figure, summary } from "./measure.ts";

const PODS = 250;
const WARM_UP = 10;
const ROUNDS = 40;
const NODE = "node";

/** Measures polls, each beside a `JSON.parse` of the same text. */
export async function discovery(interrupted: AbortSignal): Promise<Figure> {
  await using cleanup = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir();
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  const text = podsText();
  const certificates = await createCertificates(directory, NODE);
  const token = crypto.randomUUID();
  await Deno.writeTextFile(`${directory}/token`, token);
  await Deno.writeTextFile(`${directory}/ca.crt`, certificates.ca);
  const worker = cleanup.adopt(
    new Worker(new URL("agent_kubelet.ts", import.meta.url), { type: "module" }),
    (worker) => worker.terminate(),
  );
  const url = await kubeletOf(worker, { certificates, token, text });
  const { fetchPods } = createKubeletClient(kubeletConfig(url, directory), readHostFile);
  const polls: number[] = [], parses: number[] = [];
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    interrupted.throwIfAborted();
    polls.push(
      await timed(async () => {
        const { pods, malformed } = parsePodList(await fetchPods(interrupted));
        if (pods.length !== PODS || malformed.length > 0) {
          throw new Error("Cannot read the pods of the benchmark");
        }
      }),
    );
    parses.push(await timed(() => JSON.parse(text)));
  }
  return {
    ...summary(polls.slice(WARM_UP)),
    unit: "ms",
    reference: summary(parses.slice(WARM_UP)).value,
    note: `${ROUNDS} polls of ${(text.length / 1e6).toFixed(1)} MB by TLS`,
  };
}

/** A worker's kubelet; rejects where it cannot start. */
function kubeletOf(worker: Worker, message: KubeletMessage): Promise<string> {
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

function podsText(): string {
  const pods = Array.from({ length: PODS }, (_, index) => {
    const pod = new LabPod({
      name: `service-${index}-7d9f8c6b54-x7k2p`,
      namespace: `team-${index % 10}`,
      containers: ["main", "proxy"],
    });
    for (const container of pod.containers) container.id = newContainerId();
    return pod;
  });
  return fullPodList(pods, NODE);
}

async function timed(work: () => unknown): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
