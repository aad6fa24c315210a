/** How findings are shown. */
import assert from "node:assert/strict";
import { attempt, fail, ok, warn } from "../../src/doctor/finding.ts";
import { exitCode, renderJson, renderText } from "../../src/doctor/report.ts";

const FINDINGS = [
  ok("BTF", "there"),
  warn("controllers", "no io", "delegate it"),
  fail("kernel", "4.19", "update it"),
];

Deno.test("findings are aligned lines, with what to do below those that want something", () => {
  assert.equal(
    renderText(FINDINGS),
    [
      "ok    BTF          there",
      "warn  controllers  no io",
      "      delegate it",
      "fail  kernel       4.19",
      "      update it",
    ].join("\n"),
  );
});

Deno.test("a terminal is given no control characters of others", () => {
  assert.equal(
    renderText([fail("x", "two\nlines\x1b[2J", "a\r\nb\x07")]),
    "fail  x  two lines [2J\n      a b ",
  );
});

Deno.test("JSON has each finding with all of its fields", () => {
  assert.deepEqual(JSON.parse(renderJson(FINDINGS)), FINDINGS);
  assert.equal(renderJson(FINDINGS).split("\n").length, FINDINGS.length + 2);
});

Deno.test("the exit code is 1 for a failure alone", () => {
  assert.equal(exitCode(FINDINGS), 1);
  assert.equal(exitCode(FINDINGS.slice(0, 2)), 0);
});

Deno.test("a check that throws fails, with the error's advice if it has one", async () => {
  const thrown = async (error: unknown) => await attempt("x", () => Promise.reject(error));
  assert.deepEqual(await thrown(new Error("Cannot do it: got a; b; set C\nstack")), [
    fail("x", "Cannot do it: got a; b", "set C"),
  ]);
  assert.deepEqual(await thrown("no words"), [
    fail("x", "no words", "run this with the mounts, the user and the capabilities of the agent"),
  ]);
});
