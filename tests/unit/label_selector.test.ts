import assert from "node:assert/strict";
import { matchesLabels, parseLabelSelector, type Requirement } from "../../src/discovery/label_selector.ts";

type Short = readonly [key: string, operator: Requirement["operator"], ...values: string[]];

const MOST = `${"a".repeat(62)}9`;
const MOST_PREFIX = `${"a.".repeat(126)}a`;

const READ: readonly (readonly [text: string, ...requirements: Short[]])[] = [
  [""],
  [" \t\r\n"],
  ["app=web", ["app", "In", "web"]],
  ["app==web", ["app", "In", "web"]],
  ["app!=web", ["app", "NotIn", "web"]],
  ["app=", ["app", "In", ""]],
  ["app!= ", ["app", "NotIn", ""]],
  ["app=,tier==,zone!=", ["app", "In", ""], ["tier", "In", ""], ["zone", "NotIn", ""]],
  ["app", ["app", "Exists"]],
  ["!app", ["app", "DoesNotExist"]],
  ["app in (a)", ["app", "In", "a"]],
  ["app in (b,a,b)", ["app", "In", "b", "a"]],
  ["app notin (a,b)", ["app", "NotIn", "a", "b"]],
  ["app in ()", ["app", "In", ""]],
  ["app in (,)", ["app", "In", ""]],
  ["app in (,a)", ["app", "In", "", "a"]],
  ["app in (a,)", ["app", "In", "a", ""]],
  ["app in (a,,b)", ["app", "In", "a", "", "b"]],
  ["app notin()", ["app", "NotIn", ""]],
  ["replicas>3,replicas<10", ["replicas", "Gt", "3"], ["replicas", "Lt", "10"]],
  ["replicas > 007", ["replicas", "Gt", "007"]],
  ["replicas<9223372036854775807", ["replicas", "Lt", "9223372036854775807"]],
  ["b=1,a=1,b=1", ["b", "In", "1"], ["a", "In", "1"], ["b", "In", "1"]],
  ["\tapp \n=\r web ,! debug, x in(a ,b ) ", ["app", "In", "web"], ["debug", "DoesNotExist"], [
    "x",
    "In",
    "a",
    "b",
  ]],
  ["in", ["in", "Exists"]],
  ["!notin,in=in", ["notin", "DoesNotExist"], ["in", "In", "in"]],
  ["in in (in,notin)", ["in", "In", "in", "notin"]],
  ["notin notin (notin)", ["notin", "NotIn", "notin"]],
  ["inn=1", ["inn", "In", "1"]],
  ["app.kubernetes.io/name=my_web-1.0", ["app.kubernetes.io/name", "In", "my_web-1.0"]],
  [`${MOST_PREFIX}/${MOST}=${MOST}`, [`${MOST_PREFIX}/${MOST}`, "In", MOST]],
  [`${"a".repeat(64)}.com/A`, [`${"a".repeat(64)}.com/A`, "Exists"]],
  ["constructor", ["constructor", "Exists"]],
];

for (const [text, ...requirements] of READ) {
  Deno.test(`${JSON.stringify(text)} is a label selector`, () => {
    const expected = requirements.map(([key, operator, ...values]) => ({ key, operator, values }));
    assert.deepEqual(parseLabelSelector(text), expected);
  });
}

const MATCHED: readonly (readonly [text: string, labels: Record<string, string>, expected: boolean])[] = [
  ["", {}, true],
  ["app=web", { app: "web", tier: "x" }, true],
  ["app=web", { app: "Web" }, false],
  ["app=web", {}, false],
  ["app=", { app: "" }, true],
  ["app=", {}, false],
  ["app!=web", { app: "db" }, true],
  ["app!=web", { app: "web" }, false],
  ["app!=web", {}, true],
  ["app!=", {}, true],
  ["app!=", { app: "" }, false],
  ["app notin (a,b)", {}, true],
  ["app notin (a,b)", { app: "b" }, false],
  ["app notin (a,b)", { app: "c" }, true],
  ["app in (a,b)", { app: "b" }, true],
  ["app in (a,b)", {}, false],
  ["app in (,a)", { app: "" }, true],
  ["app in (,a)", {}, false],
  ["app", { app: "" }, true],
  ["app", { App: "" }, false],
  ["!app", { app: "" }, false],
  ["!app", {}, true],
  ["app,!app", { app: "" }, false],
  ["app=a,tier=b", { app: "a", tier: "b" }, true],
  ["app=a,tier=b", { app: "a", tier: "c" }, false],
  ["app=a,app=b", { app: "a" }, false],
  ["n>3", { n: "4" }, true],
  ["n>3", { n: "3" }, false],
  ["n>3", { n: "10" }, true],
  ["n>3", { n: "+4" }, true],
  ["n>3", {}, false],
  ["n>3", { n: "" }, false],
  ["n>3", { n: "4x" }, false],
  ["n>3", { n: "0x10" }, false],
  ["n>3", { n: "9223372036854775808" }, false],
  ["n<3", { n: "2" }, true],
  ["n<3", { n: "3" }, false],
  ["n<3", { n: "-9223372036854775808" }, true],
  ["n<3", { n: "-9223372036854775809" }, false],
  ["n<3", {}, false],
  ["n>9007199254740992", { n: "9007199254740993" }, true],
  ["constructor", {}, false],
  ["!toString", {}, true],
];

for (const [text, labels, expected] of MATCHED) {
  Deno.test(`"${text}" ${expected ? "matches" : "does not match"} ${JSON.stringify(labels)}`, () => {
    assert.equal(matchesLabels(parseLabelSelector(text), labels), expected);
  });
}

const KEY = 'a label key or "!"';
const OPERATOR = '"=", "==", "!=", ">", "<", "in", "notin", "," or the end';
const MORE = '"," or the end';
const NAME = '63 letters, digits, "-", "_" and ".", the first and last a letter or digit';
const KEY_NAME = `a label key's name of 1 to ${NAME}`;
const PREFIX = "a DNS subdomain, at most 253 characters and in lower case, as the label key's prefix";
const VALUE = `a label value of at most ${NAME}`;
const INTEGER = "a whole number below 2^63";

const REFUSED: readonly (readonly [text: string, position: number, expected: string, got: string])[] = [
  ["=web", 1, KEY, '"="'],
  [",app", 1, KEY, '","'],
  ["(app)", 1, KEY, '"("'],
  ["!!app", 1, KEY, '"!!"'],
  ["app,", 5, KEY, "the end"],
  ["app,,tier", 5, KEY, '","'],
  ["app, =a", 6, KEY, '"="'],
  ["!", 2, "a label key", "the end"],
  ["! ,app", 3, "a label key", '","'],
  ["! !app", 3, "a label key", '"!"'],
  ["!app=a", 5, MORE, '"="'],
  ["!app in (a)", 6, MORE, '"in"'],
  ["app => web", 5, OPERATOR, '"=>"'],
  ["app===web", 4, OPERATOR, '"==="'],
  ["n>=3", 2, OPERATOR, '">="'],
  ["app=!web", 4, OPERATOR, '"=!"'],
  ["app!", 4, OPERATOR, '"!"'],
  ["app IN (a)", 5, OPERATOR, '"IN"'],
  ["app is web", 5, OPERATOR, '"is"'],
  ["app (a)", 5, OPERATOR, '"("'],
  ["app constructor", 5, OPERATOR, '"constructor"'],
  ["app = = web", 7, "a label value", '"="'],
  ["app= !web", 6, "a label value", '"!"'],
  ["app=(a)", 5, "a label value", '"("'],
  ["app==a==b", 7, MORE, '"=="'],
  ["app=a b", 7, MORE, '"b"'],
  ["app=a)", 6, MORE, '")"'],
  ["app in (a)b", 11, MORE, '"b"'],
  ["app=web||tier=db", 5, VALUE, '"web||tier"'],
  ['app="web"', 5, VALUE, '"\\"web\\""'],
  ["app=a/b", 5, VALUE, '"a/b"'],
  ["app=-a", 5, VALUE, '"-a"'],
  ["app=a.", 5, VALUE, '"a."'],
  ["app=caf\u00e9", 5, VALUE, '"caf\u00e9"'],
  ["app=a\u00a0b", 5, VALUE, '"a\u00a0b"'],
  [`app=${MOST}9`, 5, VALUE, `"${MOST}9"`],
  [`app=${"a".repeat(101)}`, 5, VALUE, `"${"a".repeat(60)}…" (101 characters)`],
  ["app in", 7, '"("', "the end"],
  ["app in a,b", 8, '"("', '"a"'],
  ["app notin (a", 13, '"," or ")"', "the end"],
  ["app in (a b)", 11, '"," or ")"', '"b"'],
  ["app in (a,(b))", 11, "a label value", '"("'],
  ["app in (", 9, "a label value", "the end"],
  ["app in (a,b=c)", 12, '"," or ")"', '"="'],
  ["app in (a,_b)", 11, VALUE, '"_b"'],
  ["n>", 3, INTEGER, "the end"],
  ["n>,app", 3, INTEGER, '","'],
  ["n<many", 3, INTEGER, '"many"'],
  ["n>-1", 3, INTEGER, '"-1"'],
  ["n>+1", 3, INTEGER, '"+1"'],
  ["n>1.5", 3, INTEGER, '"1.5"'],
  ["n<9223372036854775808", 3, INTEGER, '"9223372036854775808"'],
  [`n>${"0".repeat(64)}`, 3, INTEGER, `"${"0".repeat(64)}"`],
  ["-app", 1, KEY_NAME, '"-app"'],
  ["app,ti*r", 5, KEY_NAME, '"ti*r"'],
  [`${MOST}9`, 1, KEY_NAME, `"${MOST}9"`],
  ["example.com/", 13, KEY_NAME, "the end"],
  ["example.com/=a", 13, KEY_NAME, "nothing"],
  ["example.com/app/name", 13, KEY_NAME, '"app/name"'],
  ["/app", 1, PREFIX, "nothing"],
  ["!Example.com/app", 2, PREFIX, '"Example.com"'],
  ["a..b/app", 1, PREFIX, '"a..b"'],
  ["a_b/app", 1, PREFIX, '"a_b"'],
  [`${MOST_PREFIX}a/app`, 1, PREFIX, `"${MOST_PREFIX.slice(0, 60)}…" (254 characters)`],
];

for (const [text, position, expected, got] of REFUSED) {
  Deno.test(`${JSON.stringify(text)} is refused at position ${position}`, () => {
    assert.throws(() => parseLabelSelector(text), {
      name: "LabelSelectorError",
      selector: text,
      problem: `at position ${position}: expected ${expected}, got ${got}`,
    });
  });
}

Deno.test("the message has the selector and the problem, and stays short", () => {
  const problem = 'at position 7: expected "," or the end, got "b"';
  assert.throws(() => parseLabelSelector("app=a b"), {
    message: `Cannot read the label selector "app=a b": ${problem}`,
  });
  assert.throws(() => parseLabelSelector(`app=a b${",c=d".repeat(30)}`), {
    message: `Cannot read the label selector "app=a b${",c=d".repeat(13)},…" (127 characters): ${problem}`,
  });
});
