/**
 * A kubelet in a thread of its own, so that what it does is not part of what is measured. It is sent its options, posts
 * its URL, and ends with its thread.
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

scope.onmessage = ({ data: { certificates, token, text } }) => {
  const kubelet = Kubelet.start({ certificates, token, pods: () => ({}) });
  kubelet.answer = { kind: "text", text };
  scope.postMessage(kubelet.url);
};
