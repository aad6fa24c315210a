/** What a benchmark is: a figure beside its reference, both measured in the same run. */

/** One figure of `deno task bench`. */
export interface Figure {
  readonly value: number;
  /** Smallest and largest of the runs that `value` is the median of. */
  readonly range?: readonly [min: number, max: number];
  readonly unit: string;
  /** What it is compared with, in the same unit; `null` where a limit is all there is. */
  readonly reference: number | null;
  /** What else a reader should know: how many runs, of what; one line. */
  readonly note?: string;
}

/** What has to hold for a benchmark to be met: a bound of value / reference, or of the value where there is no reference. */
export type Goal =
  | { readonly atMost: number }
  | { readonly atLeast: number }
  /** Nothing: the figure is only reported. */
  | "report";

export interface Benchmark {
  readonly name: string;
  /** What is measured, in a few words. */
  readonly measures: string;
  /** What the reference is; `null` where there is none. */
  readonly reference: string | null;
  readonly goal: Goal;
  /**
   * Measures once; rejects with a message for people when this machine cannot. Once `interrupted` is aborted it gives
   * up, by rejecting: what it has made, processes and cgroups, is gone when its promise settles, however it settles.
   */
  run(interrupted: AbortSignal): Promise<Figure>;
}

/** The median of `values`, and the smallest and largest of them. */
export function summary(values: readonly number[]): { value: number; range: [number, number] } {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (low === undefined || high === undefined || min === undefined || max === undefined) {
    throw new RangeError("Cannot summarise: nothing was measured");
  }
  return { value: (low + high) / 2, range: [min, max] };
}
