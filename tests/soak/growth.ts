/** Whether figures stay level, by what was sampled of them. */
import { slope } from "../bench/agent_statistics.ts";

/** A figure at a time, in seconds since the beginning. */
export interface Sample {
  readonly second: number;
  readonly value: number;
}

/** How much a figure may grow over the second half of a run. */
export interface Bound {
  readonly figure: string;
  readonly unit: string;
  /** As a share of its mean there. */
  readonly share: number;
  /** Or by so much, which is more where the figure is small. */
  readonly amount: number;
}

export interface Growth {
  readonly bound: Bound;
  /** The mean of each half's minutes. */
  readonly first: number;
  readonly second: number;
  /** What the line fitted to the second half's minutes rises over all of it. */
  readonly growth: number;
  readonly most: number;
  readonly isLevel: boolean;
}

/**
 * Each minute counts with its least sample: garbage that waits for its collector, pods that come and go, and a machine
 * that is busy with other things make figures higher for a while, and never lower; a leak raises the least as well. The
 * first half is for caches to fill. Throws where the second half has fewer than two minutes.
 */
export function growthOf(bound: Bound, samples: readonly Sample[]): Growth {
  const minutes = leastOfMinutes(samples);
  const half = Math.floor(minutes.length / 2);
  const second = minutes.slice(half);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const growth = slope(second) * (second.length - 1);
  const most = Math.max(bound.amount, bound.share * mean(second));
  return {
    bound,
    first: mean(minutes.slice(0, half)),
    second: mean(second),
    growth,
    most,
    isLevel: growth <= most,
  };
}

function leastOfMinutes(samples: readonly Sample[]): number[] {
  const minutes = Map.groupBy(samples, ({ second }) => Math.floor(second / 60));
  return [...minutes.values()].map((samples) => Math.min(...samples.map(({ value }) => value)));
}
