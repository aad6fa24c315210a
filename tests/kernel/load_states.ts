/**
 * Prints as JSON how the programs of all signals fare when they are loaded in this process. Run by tests in
 * processes that lack something; the argument is the directory of the objects.
 */
import { Programs, type ProgramState } from "../../src/native/programs.ts";
import { type SignalName, SIGNALS } from "../../src/native/signals.ts";

/** Loads programs that watch a cgroup which does not exist. */
export function loadPrograms(
  directory: string,
  signals: readonly SignalName[] = SIGNALS.map(({ name }) => name),
): Programs {
  return new Programs({
    directory,
    signals,
    kubepods: { id: 1n << 62n, name: "kubepods" },
    maxCgroups: 16,
    syscalls: [0],
  });
}

export type States = readonly ProgramState[];

if (import.meta.main) {
  using programs = loadPrograms(Deno.args[0] ?? "");
  console.log(JSON.stringify(programs.states satisfies States));
}
