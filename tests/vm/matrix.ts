/** What was seen on each kernel, as a table. */
import { SIGNALS } from "../../src/native/signals.ts";
import { sumOf, type TestCounts } from "../counts.ts";
import type { KernelPackage } from "./kernels.ts";
import { type Report, rungOf, total } from "./report.ts";

export interface KernelResult {
  readonly kernel: KernelPackage;
  readonly release: string;
  readonly report: Report;
  readonly problems: readonly string[];
  /** From the making of its disks to its end. */
  readonly seconds: number;
}

/** All tests together; each problem that no test told is one that failed. */
export function countsOf(results: readonly KernelResult[]): TestCounts {
  return sumOf(results.map(({ report, problems }) => {
    const counts = total(report);
    return { ...counts, failed: Math.max(counts.failed, problems.length) };
  }));
}

/** For the terminal: one line a kernel. */
export function tableOf(results: readonly KernelResult[]): string {
  return aligned([
    ["kernel", "release", "signals", "passed", "failed", "skipped", "minutes", ""],
    ...results.map((result) => {
      const { passed, failed, skipped } = total(result.report);
      const attached = SIGNALS.filter(({ name }) => rungOf(result.report, name) !== "–");
      return [
        result.kernel.name,
        result.release,
        `${attached.length} of ${SIGNALS.length}`,
        ...[passed, failed, skipped].map(String),
        (result.seconds / 60).toFixed(1),
        result.problems.length === 0 ? "ok" : "FAILED",
      ];
    }),
  ]);
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
    .join("\n");
}

const BEGIN = "<!-- Written by `deno task test:vm --all --write`. -->";
const END = "<!-- End of what is written. -->";

/** A document with the rows of these kernels in its table made anew; those of others stay as they are. */
export function matrixIn(document: string, results: readonly KernelResult[]): string {
  const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (begin < 0 || end < begin) {
    throw new Error(`Cannot write the matrix: the document has no lines "${BEGIN}" and "${END}"`);
  }
  const old = document.slice(begin + BEGIN.length, end);
  return `${document.slice(0, begin)}${BEGIN}\n\n${matrixOf(old, results)}\n\n${document.slice(end)}`;
}

function matrixOf(old: string, results: readonly KernelResult[]): string {
  const kept = new Map(
    old.split("\n").filter((line) => /^\| `?\d|^\| newest/.test(line)).map((
      line,
    ) => [cellsOf(line)[0] ?? "", cellsOf(line)]),
  );
  for (const result of results) kept.set(result.kernel.name, rowOf(result));
  const head = [
    "kernel",
    "release",
    ...SIGNALS.map(({ name }) => `\`${name}\``),
    "passed",
    "failed",
    "skipped",
  ];
  const rows = [...kept.values()];
  const widths = head.map((title, column) =>
    Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0), title.length)
  );
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, column) => (cells[column] ?? "").padEnd(width)).join(" | ")} |`;
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rows.map(line)].join(
    "\n",
  );
}

function cellsOf(line: string): string[] {
  return line.split("|").slice(1, -1).map((cell) => cell.trim());
}

function rowOf({ kernel, release, report }: KernelResult): string[] {
  const { passed, failed, skipped } = total(report);
  const rungs = SIGNALS.map(({ name, rungs }) => {
    const rung = rungOf(report, name);
    // Where there is but one way the program needs no name.
    return rungs.length > 1 ? rung : rung.split(" ")[0] ?? "";
  });
  return [kernel.name, release, ...rungs, ...[passed, failed, skipped].map(String)];
}
