/**
 * A metric family as a value: what one cycle found out, ready for exposition. Families are built anew each
 * cycle and never changed afterwards, so a snapshot can be served while the next one is being made.
 */

/**
 * Label names and values, in the order they are written. Series with the same labels should share one such
 * object across families: its text is then made once, which more than halves the time to render them.
 */
export type Labels = Readonly<Record<string, string>>;

/** One series of a counter or gauge. */
export interface Sample {
  readonly labels: Labels;
  /** In the family's base unit (seconds, bytes, …); finite. */
  readonly value: number;
}

/** One series of a classic histogram. */
export interface HistogramSample {
  readonly labels: Labels;
  /** Cumulative counts, one per bound of the family, in the same order; the last bound is `Infinity`. */
  readonly buckets: readonly number[];
  /** Sum of all observations in the family's base unit. */
  readonly sum: number;
}

interface Description {
  /** Exposition name, with unit and `_total` suffix where they apply. */
  readonly name: string;
  /** One line of help text. */
  readonly help: string;
}

/** A family of counters or gauges. */
export interface SimpleFamily extends Description {
  readonly type: "counter" | "gauge";
  readonly samples: readonly Sample[];
}

/** A family of classic histograms that share their bounds. */
export interface HistogramFamily extends Description {
  readonly type: "histogram";
  /** Upper bounds, inclusive as `le` is, ascending, ending in `Infinity`. */
  readonly bounds: readonly number[];
  readonly samples: readonly HistogramSample[];
}

export type Family = SimpleFamily | HistogramFamily;
