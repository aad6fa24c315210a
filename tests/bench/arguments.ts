/** The command line of `deno task bench`. */
import { parseArgs } from "node:util";

export interface Arguments {
  readonly help: boolean;
  /** Names of the benchmarks to run; all of them where none is given. */
  readonly only: readonly string[];
  /** Where the figures go as JSON. */
  readonly json?: string;
}

/** Parses a command line; throws with a message for people for one that cannot be used. */
export function parseArguments(args: readonly string[], known: readonly string[]): Arguments {
  const { values: { help = false, only = [], json } } = parseArgs({
    args: [...args],
    options: {
      help: { type: "boolean" },
      only: { type: "string", multiple: true },
      json: { type: "string" },
    },
  });
  const unknown = only.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(`Cannot run ${unknown.join(", ")}: there are ${known.join(", ")}`);
  }
  if (json === "") throw new Error("Cannot write JSON: --json needs the name of a file");
  return { help, only, ...json === undefined ? {} : { json } };
}

/** What `--help` prints. */
export function helpText(known: readonly string[]): string {
  return `usage: deno task bench [OPTION…]

Measures what the agent costs, each figure beside its reference on this machine, in some 15 minutes, as root. A run of
all benchmarks writes docs/benchmarks.md.

  --only NAME   this benchmark alone; may be given more than once
  --json FILE   write the figures into a file as well, as JSON
  --help        print this

Benchmarks:
${known.map((name) => `  ${name}`).join("\n")}`;
}
