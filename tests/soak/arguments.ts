/** The command line of `deno task soak`. */
import { parseArgs } from "node:util";

export interface Arguments {
  readonly help: boolean;
  readonly minutes: number;
  /** What chance follows; the same seed makes the same choices. */
  readonly seed: number;
}

export const HELP = `usage: deno task soak [OPTION…]

Runs an agent under load, churn, scrapes and faults, as root, and tells whether it loses counts or grows.

  --minutes N   for so long; 30 unless given, and 10 at least
  --seed S      a whole number; the same choices as another run with it
  --help        print this`;

/** In the first minutes the engine's memory grows until it has settled. */
const LEAST_MINUTES = 10;

/** Parses a command line; throws with a message for people for one that cannot be used. */
export function parseArguments(args: readonly string[], chance: () => number = Math.random): Arguments {
  const { values: { help = false, minutes = "30", seed } } = parseArgs({
    args: [...args],
    options: { help: { type: "boolean" }, minutes: { type: "string" }, seed: { type: "string" } },
  });
  return {
    help,
    minutes: wholeNumber("--minutes", minutes, LEAST_MINUTES),
    seed: wholeNumber("--seed", seed ?? String(Math.floor(chance() * 2 ** 31)), 0),
  };
}

function wholeNumber(option: string, text: string, least: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number >= least) return number;
  throw new Error(`Cannot use ${option}: got ${JSON.stringify(text)}; give a whole number from ${least} on`);
}
