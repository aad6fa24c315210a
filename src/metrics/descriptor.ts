/** What a metric is, whether it has samples just now or not. Families are made from it, and docs/metrics.md is. */
import type { Family } from "./family.ts";

/** The labels that every series about a pod has. */
export const POD_LABELS: readonly string[] = ["namespace", "pod", "container", "node"];

export interface Descriptor<Type extends Family["type"] = Family["type"]> {
  readonly type: Type;
  /** Exposition name, with unit and `_total` suffix where they apply. */
  readonly name: string;
  /** One line of help text. */
  readonly help: string;
  /** Names of the labels of its series; `le`, which only buckets have, is not among them. */
  readonly labels: readonly string[];
}

/** Describes a counter whose series have these labels. */
export function counter(name: string, help: string, ...labels: readonly string[]): Descriptor<"counter"> {
  return { type: "counter", name, help, labels };
}

/** Describes a gauge whose series have these labels. */
export function gauge(name: string, help: string, ...labels: readonly string[]): Descriptor<"gauge"> {
  return { type: "gauge", name, help, labels };
}

/** Describes a histogram whose series have these labels. */
export function histogram(name: string, help: string, ...labels: readonly string[]): Descriptor<"histogram"> {
  return { type: "histogram", name, help, labels };
}
