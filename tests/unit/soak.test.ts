/** How a soak is asked for and judged. */
import assert from "node:assert/strict";
import type { LogLine } from "../faults/fault_lab.ts";
import { mulberry32 } from "../random.ts";
import { parseArguments } from "../soak/arguments.ts";
import { type Bound, growthOf } from "../soak/growth.ts";
import { toldTooOften } from "../soak/log_rate.ts";

const BOUND: Bound = { figure: "memory", unit: "MB", share: 0.1, amount: 0 };

/** Ten minutes with a sample every ten seconds. */
const samples = (value: (minute: number, index: number) => number) =>
  Array.from({ length: 60 }, (_, index) => ({ second: index * 10, value: value(index / 6, index) }));

const CURVES:
  readonly (readonly [what: string, value: (minute: number, index: number) => number, level: boolean])[] = [
    ["stays", () => 60, true],
    ["fills its caches in the first half", (minute) => Math.min(60, 30 + 6 * minute), true],
    ["goes up and is collected", (_, index) => 60 + 10 * (index % 6), true],
    ["is high for a while", (minute) => minute > 7 && minute < 7.9 ? 600 : 60, true],
    ["falls", (minute) => 60 - minute, true],
    ["grows all the time", (minute) => 60 + 3 * minute, false],
    ["grows below what is collected", (minute, index) => 60 + 3 * minute + 10 * (index % 6), false],
    ["grows in the second half only", (minute) => 60 + 4 * Math.max(0, minute - 5), false],
  ];

for (const [what, value, isLevel] of CURVES) {
  Deno.test(`a figure that ${what} is ${isLevel ? "" : "not "}level`, () => {
    assert.equal(growthOf(BOUND, samples(value)).isLevel, isLevel);
  });
}

Deno.test("growth is what the line through the second half rises by, beside the means of both", () => {
  const { first, second, growth, most } = growthOf(BOUND, samples((minute) => Math.floor(minute) * 2));
  assert.deepEqual([first, second, growth], [4, 14, 8]);
  assert.ok(Math.abs(most - 1.4) < 1e-9);
  assert.equal(growthOf({ ...BOUND, amount: 8 }, samples((minute) => Math.floor(minute) * 2)).isLevel, true);
});

Deno.test("arguments have defaults, and what cannot be used is told", () => {
  assert.deepEqual(parseArguments([], () => 0.5), { help: false, minutes: 30, seed: 2 ** 30 });
  assert.deepEqual(parseArguments(["--minutes", "12", "--seed", "7"]), { help: false, minutes: 12, seed: 7 });
  for (
    const [option, text] of [["minutes", "9"], ["minutes", "ten"], ["seed", "-1"], ["seed", "1.5"]] as const
  ) {
    assert.throws(
      () => parseArguments([`--${option}=${text}`]),
      new RegExp(`^Error: Cannot use --${option}: got "${text}"; give a whole number from \\d+ on$`),
    );
  }
});

Deno.test("a seed repeats its numbers, another does not", () => {
  const some = (seed: number) => Array.from({ length: 5 }, mulberry32(seed));
  assert.deepEqual(some(7), some(7));
  assert.notDeepEqual(some(7), some(8));
  assert.ok(some(7).every((number) => number >= 0 && number < 1));
});

Deno.test("a trouble that is told again within a minute is found, whatever numbers it names", () => {
  const line = (second: number, message: string, level = "warn"): LogLine => ({
    time: new Date(second * 1000).toISOString(),
    level,
    message,
  });
  const lines = [
    line(0, "read 17 failed"),
    line(30, "other"),
    line(60, "read 18 failed"),
    line(61, "up", "info"),
  ];
  assert.deepEqual(toldTooOften([...lines, line(62, "up", "info")]), []);
  assert.deepEqual(toldTooOften([...lines, line(119, "read 19 failed")]), ["read 19 failed ()"]);
});
