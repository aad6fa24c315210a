/** What an exposition says of each metric: its help, its type, and the labels that its series have. */
import { seriesLines } from "./exposition.ts";

export interface ServedFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  /** The names of the labels of each series, in order, joined by commas; each combination once. */
  readonly labels: readonly string[];
}

/** The families of an exposition in Prometheus' text format. `le`, which only buckets have, is not among the labels. */
export function servedFamilies(text: string): ServedFamily[] {
  return text.split(/^(?=# HELP )/m).filter((family) => family.startsWith("# HELP ")).map((family) => {
    const [, name = "", help = ""] = /^# HELP (\S+) (.*)$/m.exec(family) ?? [];
    const [, type = ""] = /^# TYPE \S+ (.*)$/m.exec(family) ?? [];
    const labels = seriesLines(family).map((series) =>
      series.labels.map(([label]) => label).filter((label) => label !== "le").join(",")
    );
    return { name, type, help, labels: [...new Set(labels)] };
  });
}
