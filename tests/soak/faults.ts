/** What goes wrong in a soak, and how it ends. */
import { countDescriptors } from "../agent/totals.ts";
import type { KubeletAnswer } from "../lab/kubelet.ts";
import type { FaultLab } from "../faults/fault_lab.ts";

/** Begins a fault, and returns what ends it. */
type Fault = (lab: FaultLab) => Promise<() => unknown>;

const answering = (answer: KubeletAnswer): Fault => (lab) => {
  lab.kubelet.answer = answer;
  return Promise.resolve(() => lab.kubelet.answer = { kind: "pods" });
};

/** Enough for a scrape or a poll, and too little for the files of new containers. */
const SPARE_FILES = 6;

export const FAULTS: Readonly<Record<string, Fault>> = {
  "kubelet refuses connections": async (lab) => {
    await lab.stopKubelet();
    return () => lab.startKubelet();
  },
  "kubelet never answers": answering({ kind: "hang" }),
  "kubelet hangs after the headers": answering({ kind: "stall" }),
  "kubelet answers 429": answering({ kind: "status", status: 429, headers: { "retry-after": "2" } }),
  "kubelet answers 500": answering({ kind: "status", status: 500 }),
  "kubelet answers no JSON": answering({ kind: "text", text: "<html>" }),
  "kubelet lists no pods": answering({ kind: "empty" }),
  "token is missing": async (lab) => {
    await Deno.rename(lab.tokenFile, `${lab.tokenFile}.away`);
    return () => Deno.rename(`${lab.tokenFile}.away`, lab.tokenFile);
  },
  "no more files may be opened": async (lab) => {
    const before = await lab.limitFiles(countDescriptors(lab.agent) + SPARE_FILES);
    return () => lab.limitFiles(before);
  },
};
