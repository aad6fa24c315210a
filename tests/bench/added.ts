/** What the agent's programs add to a load, beside what another tool adds to it. */
import { differences } from "./interleave.ts";
import { type Figure, summary } from "./measure.ts";

/** What a unit of a load took in each round, in nanoseconds, by what was attached. */
export type Compared = Readonly<Record<"nothing" | "agent" | "tool", readonly number[]>>;

/**
 * The medians of what each round took more than with nothing attached; of differences within a round, because the
 * machine's pace changes from round to round. Throws where the tool seems to add nothing, which noise alone can do.
 */
export function added(load: Compared, unit: string, disturbance: string): Figure {
  const agent = summary(differences(load.agent, load.nothing));
  const tool = summary(differences(load.tool, load.nothing));
  if (tool.value <= 0) {
    throw new Error(`Cannot compare: the other tool added ${tool.value.toFixed(1)} ns; use a calmer machine`);
  }
  const alone = summary(load.nothing).value;
  return {
    ...agent,
    unit: "ns",
    reference: tool.value,
    note: `${load.nothing.length} rounds; ${unit} takes ${alone.toFixed(0)} ns without either${disturbance}`,
  };
}
