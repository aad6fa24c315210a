/** An exposition in which every family that some collectors may serve has a series. */
import { COLLECTOR_ENTRIES } from "../../src/collectors/list.ts";
import type { Descriptor } from "../../src/metrics/descriptor.ts";
import { CYCLE, DISCOVERY, PROGRAMS } from "../../src/metrics/self.ts";

/** What labels have as values beside the metric's own: a pod of the stress workload on the node, all in order. */
export function exposition(node: string, collectors: readonly string[], pod = `busy-${node}`): string {
  const values: Record<string, string> = {
    namespace: "kpod-stress",
    pod,
    container: "main",
    node,
    state: "attached",
    kernel: "6.12.1",
    le: "+Inf",
  };
  const line = ({ name, type, labels }: Descriptor) => {
    const pairs = (extra: readonly string[] = []) =>
      [...labels, ...extra].map((label) => `${label}="${values[label] ?? "some"}"`).join(",");
    const suffixes = type === "histogram" ? ["_sum", "_count"] : [""];
    const value = /errors_total$|unattributed/.test(name) && !/_(?:rx|tx|syscall)_/.test(name) ? 0 : 1;
    return [
      ...suffixes.map((suffix) => `${name}${suffix}{${pairs()}} ${value}`),
      ...(type === "histogram" ? [`${name}_bucket{${pairs(["le"])}} ${value}`] : []),
    ];
  };
  const own = COLLECTOR_ENTRIES.filter(({ name }) => collectors.includes(name));
  const up = collectors.map((name) => `kpod_collector_up{collector="${name}"} 1`);
  return [
    ...[...own.flatMap(({ descriptors }) => descriptors), ...CYCLE, ...DISCOVERY, ...PROGRAMS]
      .filter(({ name }) => name !== "kpod_collector_up").flatMap(line),
    ...up,
  ].map((text) => `${text}\n`).join("");
}
