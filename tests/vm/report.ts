/** What a machine's script prints, and what that says of the kernel. */
import type { ProgramState } from "../../src/native/programs.ts";
import { ladderOf } from "../../src/native/ladders.ts";
import { SIGNALS } from "../../src/native/signals.ts";
import { summaryIn, sumOf, type TestCounts } from "../counts.ts";
import type { KernelPackage } from "./kernels.ts";

/** Lines that the script in the machine prints for the harness begin so. */
export const BEGUN = "@@begun";
const ENDED = /^@@ended$/;
const STAGE = /^@@stage (.+)$/;
const CODE = /^@@code (\d+)$/;
const STATE = /^@@state (.+)$/;
const FAILED_TEST = /^(.+) => (\S+\.test\.ts):\d+:\d+$/;
/** A test's name is printed again before its result where the console got in between. */
const TWICE = /^(.+ \.\.\. ?)\1/;

export interface StageReport {
  readonly name: string;
  readonly counts: TestCounts;
  /** `undefined` when the machine stopped or hung before its end. */
  readonly code: number | undefined;
  readonly failures: readonly string[];
}

export interface Report {
  readonly states: readonly ProgramState[];
  readonly stages: readonly StageReport[];
  /** Whether the script came to its end. */
  readonly ended: boolean;
}

const NONE = sumOf([]);

/** Reads what a machine has printed. */
export function parseReport(lines: readonly string[]): Report {
  const states: ProgramState[] = [];
  const stages: StageReport[] = [];
  for (const line of lines) {
    const [name, state, code] = [STAGE, STATE, CODE].map((pattern) => pattern.exec(line)?.[1]);
    if (state !== undefined) states.push(JSON.parse(state));
    if (name !== undefined) stages.push({ name, counts: NONE, code: undefined, failures: [] });
    const stage = stages.at(-1);
    if (stage === undefined) continue;
    stages[stages.length - 1] = continued(stage, line, code);
  }
  return { states, stages, ended: lines.some((line) => ENDED.test(line)) };
}

function continued(stage: StageReport, line: string, code: string | undefined): StageReport {
  if (code !== undefined) return { ...stage, code: Number(code) };
  const counts = summaryIn(line);
  if (counts !== undefined) return { ...stage, counts };
  const failure = FAILED_TEST.exec(line)?.[1];
  if (failure === undefined || stage.failures.includes(failure)) return stage;
  return { ...stage, failures: [...stage.failures, failure] };
}

/** A line as it is to be shown while the machine runs, if it is. */
export function shown(line: string): string | undefined {
  const stage = STAGE.exec(line)?.[1];
  if (stage !== undefined) return `-- ${stage}`;
  return line.startsWith("@@") ? undefined : line.replace(TWICE, "$1");
}

/** Why a kernel does not do what it should; none if it does. Of a command only its exit code counts. */
export function problemsOf(
  { states, stages, ended }: Report,
  kernel: KernelPackage,
  isCommand = false,
): string[] {
  const problems = stages.flatMap(({ name, code, failures, counts }) => {
    if (code === undefined) return [`${name}: the machine stopped or took too long`];
    if (failures.length > 0) return failures.map((failure) => `${name}: ${failure}`);
    if (code !== 0) return [`${name}: exit code ${code}`];
    if (name === WITNESSES_STAGE && counts.skipped > 0) {
      return [`${name}: ${counts.skipped} tests were skipped`];
    }
    return counts.passed === 0 && name !== SIGNALS_STAGE && !isCommand ? [`${name}: no test ran`] : [];
  });
  if (!ended && !stages.some(({ code }) => code === undefined)) {
    problems.push("the machine did not come to its end");
  }
  return isCommand ? problems : [...signalProblems(states, kernel), ...problems];
}

/** Prints the states of the signals. */
export const SIGNALS_STAGE = "signals";
/** Has a test of each signal, none of which may be skipped. */
export const WITNESSES_STAGE = "each signal";

function signalProblems(states: readonly ProgramState[], kernel: KernelPackage): string[] {
  return SIGNALS.flatMap((signal) => {
    const { name } = signal;
    const own = states.filter(({ signal }) => signal === name);
    const missing = own.find(({ state }) => state === "unavailable");
    if (missing !== undefined) return [`signal ${name} is not available: ${missing.reason}`];
    if (own.length === 0) return [`signal ${name} was not tried`];
    const [usual] = ladderOf(signal, { preempted: false });
    const expected = kernel.rungs[name]?.[0] ?? usual?.programs[0];
    if (own.some(({ program }) => program === expected)) return [];
    return [`signal ${name} uses ${own[0]?.program}: expected ${expected}`];
  });
}

/** All tests of a machine together. */
export function total({ stages }: Report): TestCounts {
  return sumOf(stages.map(({ counts }) => counts));
}

/** How a signal is delivered: the hook, and the program where the ladder has several. */
export function rungOf({ states }: Report, signal: string): string {
  const [state] = states.filter((each) => each.signal === signal);
  return state === undefined || state.state === "unavailable" ? "–" : `${state.hook} ${state.program}`;
}
