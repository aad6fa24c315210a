/** What can be said of the ladders of `signals.ts` without the kernel. */
import { type Hook, type ObjectName, type Rung, type Signal, type SignalName, SIGNALS } from "./signals.ts";

/** The rung that each signal has. */
export type Chosen = ReadonlyMap<Signal, Rung>;

export interface LadderOptions {
  /** Ladders cut down to the rung with this program. */
  readonly rungs?: Readonly<Partial<Record<SignalName, string>>>;
  /** Whether the kernel may preempt programs on tracepoints. */
  readonly preempted: boolean;
}

/** The rungs of a signal that are to be tried on a kernel, best first. Throws where none has the program wanted. */
export function ladderOf(signal: Signal, { rungs = {}, preempted }: LadderOptions): readonly Rung[] {
  const wanted = rungs[signal.name as SignalName];
  if (wanted === undefined) return signal.rungs.filter(({ wherePreempted }) => preempted || !wherePreempted);
  const found = signal.rungs.filter(({ programs }) => programs.includes(wanted));
  if (found.length > 0) return found;
  throw new Error(`Cannot choose ${wanted} for signal ${signal.name}: none of its rungs has that program`);
}

/** The programs that a rung takes, each with its hook. */
export function programsOf(
  { hook, programs, cleaners = [] }: Rung,
  { localStorage }: { readonly localStorage: boolean },
): readonly (readonly [program: string, hook: Hook])[] {
  return [
    ...programs.map((program) => [program, hook] as const),
    ...(localStorage ? [] : cleaners).map((program) => [program, "tp_btf"] as const),
  ];
}

/** The maps that these rungs use. */
export function mapsOf(chosen: Chosen): readonly string[] {
  return unique([...chosen].flatMap(([{ maps }, { maps: more = [] }]) => [...maps, ...more]));
}

/** The programs of all rungs of an object. */
export function everyProgram(name: ObjectName): readonly string[] {
  return unique(
    signalsOf(name).flatMap(({ rungs }) =>
      rungs.flatMap(({ programs, cleaners = [] }) => [...programs, ...cleaners])
    ),
  );
}

/** The maps of all rungs of an object. */
export function everyMap(name: ObjectName): readonly string[] {
  return unique(
    signalsOf(name).flatMap(({ maps, rungs }) => [...maps, ...rungs.flatMap(({ maps: more = [] }) => more)]),
  );
}

export function signalOf(name: SignalName): Signal {
  const signal = SIGNALS.find((candidate) => candidate.name === name);
  if (signal === undefined) throw new Error(`Cannot find signal ${name}`);
  return signal;
}

export function first(rungs: readonly Rung[]): Rung {
  const [rung] = rungs;
  if (rung === undefined) throw new Error("Cannot choose a hook: the ladder is empty");
  return rung;
}

function signalsOf(name: ObjectName): readonly Signal[] {
  return SIGNALS.filter(({ object }) => object === name);
}

function unique<T>(items: readonly T[]): T[] {
  return [...new Set(items)];
}
