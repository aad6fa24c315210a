/** What docs/metrics.md says of a metric beside what its descriptor says. */
export interface Note {
  /** The moment at which it grows, where the help does not say it all. */
  readonly event?: string;
  /** The files it is from, where its collector reads several. */
  readonly from?: string;
  /** What it was held against and how well it agrees, or what to mind. */
  readonly mind?: string;
  /** What one asks it, and the PromQL that does. */
  readonly ask: readonly [question: string, query: string];
}

/** Notes by the name of their metric. */
export type Notes = Readonly<Record<string, Note>>;
