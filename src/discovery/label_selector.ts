/**
 * Kubernetes label selectors in the grammar that `kubectl -l` takes (`labels.Parse` of k8s.io/apimachinery,
 * pkg/labels/selector.go). White space (blank, tab, line feed, carriage return) may stand between any two parts:
 *
 *     selector    = [ requirement { "," requirement } ]
 *     requirement = key | "!" key
 *                 | key ( "=" | "==" | "!=" ) [ value ]
 *                 | key ( "in" | "notin" ) "(" [ value ] { "," [ value ] } ")"
 *                 | key ( ">" | "<" ) integer
 *
 * An absent value is the empty one. `in` and `notin` are keys and values too where an operator cannot stand.
 */

/** One condition on a pod's labels, in the terms of the Kubernetes API (core/v1 NodeSelectorRequirement). */
export interface Requirement {
  /** With its prefix, as `app.kubernetes.io/name`. */
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
  /** Each once: at least one for In and NotIn, one integer for Gt and Lt, none for the others. */
  readonly values: readonly string[];
}

/** Conditions that must all hold; everything matches the empty selector. */
export type LabelSelector = readonly Requirement[];

/** A text that is no label selector. */
export class LabelSelectorError extends Error {
  override readonly name = "LabelSelectorError";

  /** `problem` is where the text goes wrong, what was expected there and what stands there. */
  constructor(readonly selector: string, readonly problem: string) {
    super(`Cannot read the label selector ${quote(selector)}: ${problem}`);
  }
}

/**
 * Reads a selector. Requirements and values keep their order.
 *
 * @throws {LabelSelectorError} that names the first offending part by its position, counted from 1.
 */
export function parseLabelSelector(text: string): LabelSelector {
  const tokens = new Tokens(text);
  if (tokens.next.text === END) return [];
  const requirements = [];
  do requirements.push(parseRequirement(tokens)); while (tokens.skip(","));
  if (tokens.next.text !== END) tokens.fail('"," or the end');
  return requirements;
}

/** Whether labels meet every requirement. As in Kubernetes, a label that is not there meets NotIn. */
export function matchesLabels(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  return selector.every((requirement) => meets(requirement, labels));
}

function meets({ key, operator, values }: Requirement, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Gt":
    case "Lt": {
      const number = toInt64(value);
      const bound = toInt64(values[0]);
      if (number === undefined || bound === undefined) return false;
      return operator === "Gt" ? number > bound : number < bound;
    }
  }
}

/** Reads a decimal number of 64 bits, as Go's `strconv.ParseInt` does; label values may exceed 2^53. */
function toInt64(text: string | undefined): bigint | undefined {
  if (text === undefined || !/^[-+]?[0-9]+$/.test(text)) return undefined;
  // BigInt reads "-1" and refuses "+1".
  const number = BigInt(text.replace("+", ""));
  return BigInt.asIntN(64, number) === number ? number : undefined;
}

function parseRequirement(tokens: Tokens): Requirement {
  if (tokens.skip("!")) return { key: tokens.takeKey("a label key"), operator: "DoesNotExist", values: [] };
  const key = tokens.takeKey('a label key or "!"');
  if (tokens.nextIs(",", END)) return { key, operator: "Exists", values: [] };
  const operator = OPERATORS.get(tokens.next.text);
  if (operator === undefined) tokens.fail('"=", "==", "!=", ">", "<", "in", "notin", "," or the end');
  const isSet = tokens.nextIs("in", "notin");
  tokens.advance();
  if (isSet) return { key, operator, values: parseValues(tokens) };
  const isNumeric = operator === "Gt" || operator === "Lt";
  return { key, operator, values: [isNumeric ? tokens.takeInteger() : tokens.takeValue(",", END)] };
}

function parseValues(tokens: Tokens): string[] {
  if (!tokens.skip("(")) tokens.fail('"("');
  const values = new Set<string>();
  do values.add(tokens.takeValue(",", ")")); while (tokens.skip(","));
  if (!tokens.skip(")")) tokens.fail('"," or ")"');
  return [...values];
}

const OPERATORS: ReadonlyMap<string, Requirement["operator"]> = new Map([
  ["=", "In"],
  ["==", "In"],
  ["!=", "NotIn"],
  ["in", "In"],
  ["notin", "NotIn"],
  [">", "Gt"],
  ["<", "Lt"],
]);

interface Token {
  readonly text: string;
  /** Of its first character in the selector, from 0. */
  readonly index: number;
}

/** The text of the token behind the last one. */
const END = "";

/** No two operators can stand side by side, so that `=>` is one token, and one mistake. */
const TOKEN = /[=!<>]+|[(),]|[^=!<>(), \t\r\n]+/g;

const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const NAME_LENGTH = 63;
const NAME_FORM = `${NAME_LENGTH} letters, digits, "-", "_" and ".", the first and last a letter or digit`;

/** RFC 1123, without its limit of 63 for each label, as Kubernetes has it (apimachinery, pkg/util/validation). */
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const SUBDOMAIN_LENGTH = 253;

/** The parts of a selector, read from left to right. */
class Tokens {
  readonly #selector: string;
  readonly #tokens: Iterator<Token, undefined>;
  #next: Token;

  constructor(selector: string) {
    this.#selector = selector;
    this.#tokens = selector.matchAll(TOKEN).map(({ 0: text, index }) => ({ text, index }));
    this.#next = this.advance();
  }

  get next(): Token {
    return this.#next;
  }

  advance(): Token {
    return this.#next = this.#tokens.next().value ?? { text: END, index: this.#selector.length };
  }

  nextIs(...texts: readonly string[]): boolean {
    return texts.includes(this.#next.text);
  }

  /** Passes over a token with this text if it is the next. */
  skip(text: string): boolean {
    const found = this.nextIs(text);
    if (found) this.advance();
    return found;
  }

  takeKey(expected: string): string {
    const { text, index } = this.#takeWord(expected);
    const slash = text.indexOf("/");
    const prefix = { text: text.slice(0, Math.max(slash, 0)), index };
    const name = { text: text.slice(slash + 1), index: index + slash + 1 };
    if (slash >= 0 && (prefix.text.length > SUBDOMAIN_LENGTH || !SUBDOMAIN.test(prefix.text))) {
      const form = `at most ${SUBDOMAIN_LENGTH} characters and in lower case`;
      this.fail(`a DNS subdomain, ${form}, as the label key's prefix`, prefix);
    }
    if (!isName(name.text)) this.fail(`a label key's name of 1 to ${NAME_FORM}`, name);
    return text;
  }

  /** Takes a value, or the empty one if one of `ends` is next. */
  takeValue(...ends: readonly string[]): string {
    if (this.nextIs(...ends)) return "";
    const word = this.#takeWord("a label value");
    if (!isName(word.text)) this.fail(`a label value of at most ${NAME_FORM}`, word);
    return word.text;
  }

  /** Takes an integer that is a label value, so one without a sign. */
  takeInteger(): string {
    const expected = "a whole number below 2^63";
    const word = this.#takeWord(expected);
    if (!isName(word.text) || toInt64(word.text) === undefined) this.fail(expected, word);
    return word.text;
  }

  fail(expected: string, { text, index }: Token = this.#next): never {
    const got = text !== "" ? quote(text) : index === this.#selector.length ? "the end" : "nothing";
    throw new LabelSelectorError(
      this.#selector,
      `at position ${index + 1}: expected ${expected}, got ${got}`,
    );
  }

  #takeWord(expected: string): Token {
    const word = this.#next;
    if (word.text === END || /^[=!<>(),]/.test(word.text)) this.fail(expected);
    this.advance();
    return word;
  }
}

function isName(text: string): boolean {
  return text.length <= NAME_LENGTH && NAME.test(text);
}

/** A part that is too long is cut, and its length told. */
function quote(text: string): string {
  if (text.length <= 100) return JSON.stringify(text);
  return `${JSON.stringify(`${text.slice(0, 60)}…`)} (${text.length} characters)`;
}
