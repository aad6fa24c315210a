/** How many tests passed, failed and were skipped: as Deno's test runner says it, and as the tasks here do. */

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const SUMMARY =
  /^(?:ok|FAILED) \| (\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed(?: \(\d+ steps?\))?(?: \| (\d+) ignored)?/m;
const COUNTS = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/m;

/** What the summary of `deno test` in a text says; `undefined` where there is none. */
export function summaryIn(text: string): TestCounts | undefined {
  return numbersOf(SUMMARY.exec(text));
}

/** What the line of `countsLine` in a text says; `undefined` where there is none. */
export function countsIn(text: string): TestCounts | undefined {
  return numbersOf(COUNTS.exec(text));
}

function numbersOf(match: RegExpExecArray | null): TestCounts | undefined {
  if (match === null) return undefined;
  const [passed = 0, failed = 0, skipped = 0] = match.slice(1).map((count) => Number(count ?? 0));
  return { passed, failed, skipped };
}

/** `3 passed, 0 failed, 1 skipped`; without the last where it is none. */
export function countsLine({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}`;
}

export function sumOf(counts: readonly TestCounts[]): TestCounts {
  return counts.reduce((sum, { passed, failed, skipped }) => ({
    passed: sum.passed + passed,
    failed: sum.failed + failed,
    skipped: sum.skipped + skipped,
  }), { passed: 0, failed: 0, skipped: 0 });
}
