/**
 * A kubelet in a thread of its own, so that what it does is not part of what is measured. It is sent its options,
 * and what to answer from then on, as often as one likes; it posts its URL each time, and ends with its thread.
 */
import { Kubelet } from "../lab/kubelet.ts";
import type { Certificates } from "../lab/certificates.ts";

export interface KubeletMessage {
  readonly certificates: Certificates;
  readonly token: string;
  /** The body of `/pods`. */
  readonly text: string;
}

const scope = self as unknown as {
  onmessage: (event: MessageEvent<KubeletMessage>) => void;
  postMessage(url: string): void;
};

let kubelet: Kubelet | undefined;

scope.onmessage = ({ data: { certificates, token, text } }) => {
  kubelet ??= Kubelet.start({ certificates, token, pods: () => ({}) });
  kubelet.answer = { kind: "text", text };
  scope.postMessage(kubelet.url);
};
