/** Settings and selectors: what can be written is read as it was meant, and anything else is refused in words. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { ConfigError, type Facts, parseConfig } from "../../src/config.ts";
import { VARIABLES } from "../../src/config_variables.ts";
import {
  LabelSelectorError,
  parseLabelSelector,
  type Requirement,
} from "../../src/discovery/label_selector.ts";
import { nearest } from "../../src/nearest.ts";
import { anyText, property, record } from "./property.ts";

const FACTS: Facts = { arch: "x86_64", programDirectory: "/app/bpf", hostname: "box" };
const NODE = { NODE_IP: "10.0.0.1", NODE_NAME: "node1" };

const words = fc.constantFrom(
  ...[
    "true",
    "30000",
    "1e3",
    "0x10",
    "-1",
    "9007199254740993",
    "none",
    "https://n:1",
    "http://[::1]/",
    "custom",
  ],
  ...[
    "a,b",
    ",",
    "0.0.0.0:9090",
    ":65536",
    "/proc",
    "app in (a)",
    "!x",
    "read,write",
    "cpu,memory",
    "coarse",
  ],
);

property("any settings are taken, or refused with one line for each problem", [
  fc.dictionary(fc.constantFrom(...Object.keys(VARIABLES), "KPOD_OTHER"), fc.oneof(words, anyText)),
], (environment) => {
  try {
    const config = parseConfig({ ...NODE, ...environment }, FACTS);
    for (const number of [config.pollIntervalMs, config.kubelet.timeoutMs, config.bpf.maxCgroups]) {
      assert.ok(Number.isSafeInteger(number) && number > 0);
    }
    assert.ok(config.listen.port >= 0 && config.listen.port <= 65_535);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.ok(error.problems.length > 0);
    assert.equal(error.message.split("\n").length, 1 + error.problems.length, error.message);
  }
});

property(
  "a whole number is taken just where it is in its range",
  [fc.integer({ min: 0, max: 700_000 })],
  (number) => {
    const taken = () => parseConfig({ ...NODE, KPOD_POLL_INTERVAL_MS: String(number) }, FACTS).pollIntervalMs;
    if (number >= 1_000 && number <= 600_000) assert.equal(taken(), number);
    else assert.throws(taken, ConfigError);
  },
);

property(
  "no refusal repeats the password of a URL",
  [
    fc.constantFrom(
      "https://",
      "http://",
      "https:/",
      "https:",
      "https:\\\\",
      "HTTPS://",
      "ftp://",
      "//",
      "",
      "x",
    ),
    fc.stringMatching(/^[a-z]{0,4}$/),
    fc.constantFrom("", "\n", "@", "/", " "),
    fc.constantFrom("node", "node:10250/pods", "[::1]", "[", ""),
  ],
  (scheme, user, before, host) => {
    const text = `${scheme}${user}:${before}PASSWORD@${host}`;
    try {
      const { kubelet: { url } } = parseConfig({ ...NODE, KPOD_KUBELET_URL: text }, FACTS);
      assert.equal(url.password, "");
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      assert.doesNotMatch(error.message, /PASSWORD/);
    }
  },
);

const word = fc.stringMatching(/^[A-Za-z0-9]([-A-Za-z0-9_.]{0,10}[A-Za-z0-9])?$/);
const labelKey = fc.oneof(
  word,
  fc.tuple(fc.stringMatching(/^[a-z0-9]{1,8}(\.[a-z]{2,3})?$/), word).map((parts) => parts.join("/")),
);
const labelValue = fc.oneof(word, fc.constant(""));
const requirement: fc.Arbitrary<Requirement> = fc.oneof(
  record({
    key: labelKey,
    operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const),
    values: fc.constant([]),
  }),
  record({
    key: labelKey,
    operator: fc.constantFrom("In" as const, "NotIn" as const),
    values: fc.uniqueArray(labelValue, { minLength: 1, maxLength: 4 }),
  }),
  record({
    key: labelKey,
    operator: fc.constantFrom("Gt" as const, "Lt" as const),
    values: fc.bigInt(0n, 2n ** 63n - 1n).map((number) => [String(number)]),
  }),
);

function printed({ key, operator, values }: Requirement, space: string): string {
  const one = values[0] ?? "";
  switch (operator) {
    case "Exists":
      return key;
    case "DoesNotExist":
      return `!${space}${key}`;
    case "Gt":
    case "Lt":
      return `${key}${space}${operator === "Gt" ? ">" : "<"}${space}${one}`;
    default: {
      if (values.length === 1 && space === "") return `${key}${operator === "In" ? "=" : "!="}${one}`;
      return `${key} ${operator === "In" ? "in" : "notin"}${space}(${values.join(`${space},${space}`)})`;
    }
  }
}

property(
  "a selector that is printed is read as it was",
  [fc.array(requirement, { maxLength: 5 }), fc.constantFrom("", " ", "\t\n ")],
  (selector, space) => {
    const text = selector.map((requirement) => printed(requirement, space)).join(`${space},${space}`);
    assert.deepEqual(parseLabelSelector(text), selector);
  },
);

property("any text is a selector, or is refused at a place in it", [
  fc.oneof(
    fc.array(fc.constantFrom("a", "in", "notin", "(", ")", ",", "=", "!", ">", "1", " ", "a/b")).map((
      parts,
    ) => parts.join("")),
    anyText,
  ),
], (text) => {
  try {
    parseLabelSelector(text);
  } catch (error) {
    assert.ok(error instanceof LabelSelectorError, String(error));
    const position = Number(/^at position (\d+): /.exec(error.problem)?.[1]);
    assert.ok(position >= 1 && position <= text.length + 1, error.problem);
    assert.ok(!error.message.includes("\n"), error.message);
  }
});

property(
  "a word that is known is nearest to itself",
  [fc.uniqueArray(word, { minLength: 1 }), anyText],
  (known, other) => {
    for (const each of known) {
      assert.equal(nearest(each, known)?.toLowerCase(), each.toLowerCase());
    }
    assert.ok([undefined, ...known].includes(nearest(other, known)));
  },
);
