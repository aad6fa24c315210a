/** Loads measured in turns under several conditions, so that what the machine does meanwhile meets all of them alike. */

/** What holds while loads are measured; disposing of it ends that. */
export interface State extends AsyncDisposable {
  /** The process whose eBPF programs are attached; none where nothing is. */
  readonly pid?: number;
}

export interface Plan<Condition extends string, Load extends string> {
  readonly conditions: Readonly<Record<Condition, () => Promise<State>>>;
  /** Each makes one run, of ten to fifty milliseconds, and resolves to what a unit of it took. */
  readonly loads: Readonly<Record<Load, (state: State) => Promise<number>>>;
  /** In each round every condition has its turn. */
  readonly rounds: number;
  /** Runs of each load in a turn; the least of them is the round's, as what disturbs a run only ever adds to it. */
  readonly runs: number;
}

/** What each round measured, by load and condition, in the order of the rounds. */
export type Rounds<Condition extends string, Load extends string> = Readonly<
  Record<Load, Readonly<Record<Condition, readonly number[]>>>
>;

/** Measures; rejects between two runs once `interrupted` is aborted. */
export async function interleave<Condition extends string, Load extends string>(
  { conditions, loads, rounds, runs }: Plan<Condition, Load>,
  interrupted: AbortSignal,
): Promise<Rounds<Condition, Load>> {
  const conditionNames = Object.keys(conditions) as Condition[];
  const loadNames = Object.keys(loads) as Load[];
  const measured = tableOf(loadNames, () => tableOf(conditionNames, (): number[] => []));
  for (let round = 0; round < rounds; round++) {
    for (const condition of rotated(conditionNames, round)) {
      await using state = await conditions[condition]();
      for (const load of loadNames) {
        const values: number[] = [];
        for (let run = 0; run < runs; run++) {
          interrupted.throwIfAborted();
          values.push(await loads[load](state));
        }
        measured[load][condition].push(Math.min(...values));
      }
    }
  }
  return measured;
}

/** `items` with those before the given place moved to the end: each comes first equally often. */
function rotated<T>(items: readonly T[], by: number): T[] {
  const place = by % items.length;
  return [...items.slice(place), ...items.slice(0, place)];
}

function tableOf<Key extends string, Value>(keys: readonly Key[], make: () => Value): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, make()])) as Record<Key, Value>;
}

/** What each round had more of one than of the other. */
export function differences(of: readonly number[], less: readonly number[]): number[] {
  return of.map((value, round) => value - (less[round] ?? NaN));
}

/** How many times as much each round had of one as of the other. */
export function quotients(of: readonly number[], by: readonly number[]): number[] {
  return of.map((value, round) => value / (by[round] ?? NaN));
}
