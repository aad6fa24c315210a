/** `deno task soak`: whether the agent loses counts or grows under load, churn, scrapes and faults. */
import { table } from "../../docs/markdown.ts";
import { ensureTools, LAB_TOOLS } from "../../native/tools.ts";
import { mulberry32 } from "../random.ts";
import { type Arguments, HELP, parseArguments } from "./arguments.ts";
import { type Bound, type Growth, growthOf } from "./growth.ts";
import { type FigureName, type Outcome, soak } from "./soak.ts";

/**
 * Hundreds of pods come and go in a half. A descriptor or map entry left of each of them is far beyond these
 * bounds, and so are some ten kilobytes, or a cycle that takes longer by what it took to look at them.
 */
const BOUNDS: Readonly<Record<FigureName, Bound>> = {
  // What V8 keeps after a collection moves by a few megabytes.
  rss: { figure: "resident memory", unit: "MB", share: 0.05, amount: 4 },
  // Those of the containers that are just there, or have ended and wait for a name while the kubelet fails.
  descriptors: { figure: "open descriptors", unit: "", share: 0, amount: 20 },
  entries: { figure: "map entries", unit: "", share: 0, amount: 60 },
  // The least of a minute still moves with what else the machine does.
  cycle: { figure: "a cycle", unit: "ms", share: 0.5, amount: 0 },
};

async function main(args: Arguments): Promise<number> {
  await ensureTools(LAB_TOOLS);
  console.log(`Soaking for ${args.minutes} minutes with the seed ${args.seed}`);
  const { samples, events, wrong } = await soak(args, mulberry32(args.seed));
  const growths = (Object.keys(BOUNDS) as FigureName[]).map((name) => growthOf(BOUNDS[name], samples[name]));
  console.log(`\n${growthTable(growths)}\n\n${eventTable(events)}\n`);
  const problems = [...wrong, ...growths.filter(({ isLevel }) => !isLevel).map(complaint)];
  for (const problem of problems) console.error(problem);
  console.log(problems.length === 0 ? "All counts are right, and nothing grows" : "The soak failed");
  return problems.length === 0 ? 0 : 1;
}

function growthTable(growths: readonly Growth[]): string {
  const head = ["figure", "first half", "second half", "grows in it by", "at most", "level"];
  return table(
    head,
    growths.map(({ bound: { figure, unit }, first, second, growth, most, isLevel }) => {
      const text = (value: number) => `${value.toFixed(2)} ${unit}`.trim();
      return [figure, text(first), text(second), text(growth), text(most), isLevel ? "yes" : "no"];
    }),
  );
}

function eventTable(events: Outcome["events"]): string {
  return table(
    ["what happened", "times"],
    [...events].sort().map(([event, times]) => [event, String(times)]),
  );
}

function complaint({ bound: { figure, unit }, growth, most }: Growth): string {
  return `${figure} grew by ${growth.toFixed(2)} ${unit} in the second half, more than ${most.toFixed(2)}`;
}

try {
  const args = parseArguments(Deno.args);
  if (args.help) console.log(HELP);
  else Deno.exit(await main(args));
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  Deno.exit(1);
}
