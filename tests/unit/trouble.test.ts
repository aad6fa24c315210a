/** How often a trouble is logged. */
import assert from "node:assert/strict";
import type { LogFields, Logger } from "../../src/log.ts";
import { causeIn, Trouble } from "../../src/trouble.ts";

/** What happens at a second: the cause that is met, or nothing wrong. */
type Event = readonly [second: number, cause: string | undefined];

const every = (step: number, from: number, to: number, cause: (second: number) => string | undefined) =>
  Array.from({ length: (to - from) / step }, (_, index): Event => {
    const second = from + index * step;
    return [second, cause(second)];
  });

const CASES: readonly (readonly [what: string, events: readonly Event[], logged: readonly string[]])[] = [
  ["nothing wrong", every(1, 0, 100, () => undefined), []],
  ["one that lasts", every(1, 0, 700, () => "a"), ["0 a 1", "300 a 301", "600 a 601"]],
  [
    "one that ends",
    [...every(10, 0, 30, () => "a"), [30, undefined], [40, undefined]],
    ["0 a 1", "30 over 3"],
  ],
  [
    "one that comes and goes",
    every(1, 0, 180, (second) => second % 2 === 0 ? "a" : undefined),
    ["0 a 1", "1 over 1", "60 a 1", "61 over 1", "120 a 1", "121 over 1"],
  ],
  [
    "one that comes back to stay",
    [[0, "a"], [1, undefined], ...every(1, 2, 400, () => "a")],
    ["0 a 1", "1 over 1", "60 a 59", "360 a 359"],
  ],
  [
    "one whose cause changes",
    [...every(1, 0, 10, () => "a"), ...every(1, 10, 20, () => "b"), [20, undefined]],
    ["0 a 1", "10 b 11", "20 over 20"],
  ],
  [
    "one whose cause changes all the time",
    every(1, 0, 130, (second) => second % 2 === 0 ? "a" : "b"),
    ["0 a 1", "1 b 2", "60 a 61", "61 b 62", "120 a 121", "121 b 122"],
  ],
];

for (const [what, events, expected] of CASES) {
  Deno.test(`${what} is logged when it begins and ends, and each cause once a minute at most`, () => {
    const logged: string[] = [];
    let now = 0;
    const write = (text: string, fields?: LogFields) => void logged.push(`${now} ${text} ${fields?.times}`);
    const log: Logger = { debug: () => {}, info: write, warn: write, error: write };
    const trouble = new Trouble(log, "over");
    for (const [second, cause] of events) {
      now = second;
      if (cause === undefined) trouble.end(now * 1000);
      else trouble.report(now * 1000, cause, cause, {});
    }
    assert.deepEqual(logged, expected);
  });
}

Deno.test("messages that differ in numbers and identifiers are one cause", () => {
  const about = (id: string, errno: string) => causeIn(`Cannot read kubepods-pod${id}.slice: ${errno}`);
  assert.equal(about("0f8fad5b_d9cb", "EMFILE 24"), about("77c2d758_a29d", "EMFILE 23"));
  assert.notEqual(about("0f8fad5b_d9cb", "EMFILE"), about("0f8fad5b_d9cb", "ENFILE"));
});
