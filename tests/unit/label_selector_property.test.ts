/** Random selectors, each judged by something simpler than the parser. The seeds are fixed. */

import assert from "node:assert/strict";
import { LabelSelectorError, matchesLabels, parseLabelSelector } from "../../src/discovery/label_selector.ts";

const KEYS = ["app", "in", "notin", "a.example/app", "toString"];
const VALUES = ["", "a", "in", "notin", "3", "10"];

/** A requirement in one of its spellings, and what it means. */
interface Sample {
  readonly text: string;
  readonly holds: (labels: ReadonlyMap<string, string>) => boolean;
}

Deno.test("a selector means what each of its requirements means, however it is spaced", () => {
  const random = new Random(1);
  const outcomes = new Set<boolean>();
  for (let round = 0; round < 3_000; round++) {
    const samples = Array.from({ length: random.below(4) }, () => randomRequirement(random));
    const text = `${random.space()}${samples.map((sample) => sample.text).join(",")}${random.space()}`;
    const selector = parseLabelSelector(text);
    for (let trial = 0; trial < 5; trial++) {
      const labels = new Map(
        Array.from({ length: random.below(6) }, () => [random.of(KEYS), random.of(VALUES)]),
      );
      const expected = samples.every(({ holds }) => holds(labels));
      outcomes.add(expected);
      assert.equal(
        matchesLabels(selector, Object.fromEntries(labels)),
        expected,
        `${text} on ${[...labels]}`,
      );
    }
  }
  assert.equal(outcomes.size, 2);
});

Deno.test("just what the grammar generates is accepted", () => {
  const word = "[a-z0-9]+";
  const list = `\\( *(${word})? *(, *(${word})? *)*\\)`;
  const requirement = `(! *${word}|${word}( *(==?|!=) *(${word})?| *[<>] *[0-9]+| +(not)?in *${list})?)`;
  const grammar = new RegExp(`^ *(${requirement}( *, *${requirement})*)? *$`);
  const parts = ["a", "b", "in", "notin", "7", "=", "==", "!=", "!", "<", ">", "(", ")", ",", " ", " "];
  const random = new Random(2);
  const accepted = new Set<string>();
  for (let round = 0; round < 30_000; round++) {
    const text = Array.from({ length: random.below(9) }, () => random.of(parts)).join("");
    const read = isAccepted(text);
    assert.equal(read, grammar.test(text), JSON.stringify(text));
    if (read) accepted.add(text.replaceAll(" ", ""));
  }
  assert.ok(accepted.size > 500, `${accepted.size} different selectors`);
});

function isAccepted(text: string): boolean {
  try {
    parseLabelSelector(text);
    return true;
  } catch (error) {
    assert.ok(error instanceof LabelSelectorError);
    return false;
  }
}

function randomRequirement(random: Random): Sample {
  const key = random.of(KEYS);
  const value = random.of(VALUES);
  const values = [value, ...Array.from({ length: random.below(3) }, () => random.of(VALUES))];
  const bound = random.of(["0", "3", "9"]);
  const spaced = (...parts: string[]) => parts.map((part) => `${random.space()}${part}`).join("");
  const list = `(${values.map((each) => spaced(each) + random.space()).join(",")})`;
  const number = (text = "") => text === "" ? NaN : Number(text);
  return random.of<Sample>([
    { text: spaced(key), holds: (labels) => labels.has(key) },
    { text: spaced("!", key), holds: (labels) => !labels.has(key) },
    { text: spaced(key, "=", value), holds: (labels) => labels.get(key) === value },
    { text: spaced(key, "==", value), holds: (labels) => labels.get(key) === value },
    { text: spaced(key, "!=", value), holds: (labels) => labels.get(key) !== value },
    {
      text: `${spaced(key)} ${spaced("in", list)}`,
      holds: (labels) => values.some((v) => labels.get(key) === v),
    },
    {
      text: `${spaced(key)} ${spaced("notin", list)}`,
      holds: (labels) => values.every((v) => labels.get(key) !== v),
    },
    { text: spaced(key, ">", bound), holds: (labels) => number(labels.get(key)) > Number(bound) },
    { text: spaced(key, "<", bound), holds: (labels) => number(labels.get(key)) < Number(bound) },
  ]);
}

/** A linear congruential generator with the constants of Numerical Recipes, of which the upper bits are used. */
class Random {
  constructor(private state: number) {}

  below(limit: number): number {
    this.state = (Math.imul(this.state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(this.state / 2 ** 32 * limit);
  }

  of<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }

  space(): string {
    return this.of(["", "", "", " ", "\t", " \n", "\r"]);
  }
}
