/**
 * Prints as JSON how the programs of all signals fare when they are loaded in this process. Run by tests in
 * processes that lack something; the arguments are the directory of the objects, and "preempted" or "not preempted"
 * for what the kernel is taken to do with programs.
 */
import { type ProgramOptions, Programs, type ProgramState } from "../../src/native/programs.ts";
import { type SignalName, SIGNALS } from "../../src/native/signals.ts";

/** Loads programs that watch a cgroup which does not exist. */
export function loadPrograms(
  directory: string,
  signals: readonly SignalName[] = SIGNALS.map(({ name }) => name),
  more: Partial<ProgramOptions> = {},
): Programs {
  return new Programs({
    directory,
    signals,
    kubepods: { id: 1n << 62n, name: "kubepods" },
    maxCgroups: 16,
    syscalls: [0],
    ...more,
  });
}

export type States = readonly ProgramState[];

if (import.meta.main) {
  const [directory = "", preempted] = Deno.args;
  const more = preempted === undefined ? {} : { preempted: preempted === "preempted" };
  using programs = loadPrograms(directory, undefined, more);
  console.log(JSON.stringify(programs.states satisfies States));
}
