/** Counts of tests, read and written. */
import assert from "node:assert/strict";
import { countsIn, countsLine, summaryIn, sumOf } from "../counts.ts";

const SUMMARIES: readonly (readonly [line: string, counts: readonly number[] | undefined])[] = [
  ["ok | 3 passed | 0 failed (5s)", [3, 0, 0]],
  ["before\nok | 3 passed (20 steps) | 0 failed | 1 ignored (5s)\nafter", [3, 0, 1]],
  ["FAILED | 1 passed | 2 failed (1 step) (5s)", [1, 2, 0]],
  ["it is ok | 3 passed | 0 failed", undefined],
  ["", undefined],
];

for (const [line, counts] of SUMMARIES) {
  Deno.test(`the summary of the test runner is read: ${JSON.stringify(line)}`, () => {
    const found = summaryIn(line);
    assert.deepEqual(found && [found.passed, found.failed, found.skipped], counts);
  });
}

Deno.test("the line that counts is read as it is written, and has no more words than it needs", () => {
  for (
    const [counts, line] of [
      [{ passed: 3, failed: 0, skipped: 0 }, "3 passed, 0 failed"],
      [{ passed: 3, failed: 1, skipped: 12 }, "3 passed, 1 failed, 12 skipped"],
    ] as const
  ) {
    assert.equal(countsLine(counts), line);
    assert.deepEqual(countsIn(`a table\n${line}\n`), counts);
  }
  assert.equal(countsIn("no count"), undefined);
});

Deno.test("counts add up", () => {
  const one = { passed: 1, failed: 2, skipped: 3 };
  assert.deepEqual(sumOf([one, one]), { passed: 2, failed: 4, skipped: 6 });
  assert.deepEqual(sumOf([]), { passed: 0, failed: 0, skipped: 0 });
});
