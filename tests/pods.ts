/** The agent's reading of a list of pods that a test has as an object or a text. */
import { type PodList, PodListParser } from "../src/discovery/pod_list.ts";

/** What the agent makes of `body`. */
export function readPods(body: unknown): PodList {
  return readPodsText(JSON.stringify(body));
}

/** What the agent makes of an answer's text, by itself or after those that `parser` has read. */
export function readPodsText(text: string, parser = new PodListParser()): PodList {
  const reader = parser.begin();
  reader.push(new TextEncoder().encode(text));
  return reader.end();
}
