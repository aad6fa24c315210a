/** Which pods are reported. */

import { type LabelSelector, matchesLabels } from "./label_selector.ts";
import type { Pod } from "./pod.ts";

/** What a pod has to be like to be reported; with all three empty, every pod is. */
export interface PodFilterSettings {
  /** The only ones reported, unless empty. */
  readonly namespaces: readonly string[];
  /** Left out while `namespaces` is empty; beside it without effect. */
  readonly excludeNamespaces: readonly string[];
  readonly labelSelector: LabelSelector;
}

/**
 * Returns whether a pod is reported. Namespaces that are asked for come before those that are left out: one that is
 * in both lists is reported. Static pods are pods like others.
 */
export function createPodFilter(
  { namespaces, excludeNamespaces, labelSelector }: PodFilterSettings,
): (pod: Pod) => boolean {
  const included = new Set(namespaces);
  const excluded = new Set(excludeNamespaces);
  return ({ namespace, labels }) =>
    (included.size > 0 ? included.has(namespace) : !excluded.has(namespace)) &&
    matchesLabels(labelSelector, labels);
}
