/** docs/metrics.md and what it is made from: complete, current, and true of what the agent serves. */
import assert from "node:assert/strict";
import { GROUPS, METRICS_PAGE, metricsPage, NOTES, unitOf } from "../../docs/generate.ts";
import { COLLECTOR_ENTRIES } from "../../src/collectors/list.ts";
import { COLLECTORS } from "../../src/profiles.ts";
import { goldenPath, needsPromtool } from "../agent/golden_file.ts";
import { servedFamilies } from "../served_families.ts";

const METRICS = GROUPS.flatMap(({ metrics }) => metrics);
const BY_NAME = new Map(METRICS.map((metric) => [metric.name, metric]));

Deno.test("docs/metrics.md is what the descriptors say", () => {
  assert.equal(Deno.readTextFileSync(METRICS_PAGE), metricsPage(), "run: deno task docs");
});

Deno.test("every collector is registered once, in the order of the profiles' list", () => {
  assert.deepEqual(COLLECTOR_ENTRIES.map(({ name }) => name), COLLECTORS);
});

Deno.test("every metric has a name of its own, a line of help and labels that differ", () => {
  assert.equal(BY_NAME.size, METRICS.length);
  for (const { name, type, help, labels } of METRICS) {
    assert.match(name, type === "counter" ? /^[a-z_]+_total$/ : /^[a-z_]+(?<!_total)$/);
    assert.match(help, /^[A-Z][^"\\\n]*\.$/, name);
    assert.equal(new Set(labels).size, labels.length, name);
    assert.ok(type !== "histogram" || unitOf(name) === "seconds", name);
  }
});

Deno.test("every metric has a note, and every note a metric", () => {
  assert.deepEqual(Object.keys(NOTES).toSorted(), [...BY_NAME.keys()].toSorted());
});

Deno.test("every example query asks its metric", () => {
  for (const [name, { ask: [question, query] }] of Object.entries(NOTES)) {
    assert.ok(new RegExp(`\\b${name}(?:_bucket|_sum|_count)?\\b`).test(query), `${name}: ${query}`);
    assert.match(question, /^[A-Z].*[.?]$/);
  }
});

Deno.test("Prometheus can parse every example query", needsPromtool, async () => {
  const rules = Object.entries(NOTES).map(([name, { ask: [, expr] }]) => ({
    record: `example:${name}`,
    expr,
  }));
  const file = await Deno.makeTempFile({ suffix: ".yml" });
  try {
    // JSON is YAML.
    await Deno.writeTextFile(file, JSON.stringify({ groups: [{ name: "examples", rules }] }));
    const { code, stdout, stderr } = await new Deno.Command("promtool", { args: ["check", "rules", file] })
      .output();
    assert.equal(code, 0, new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(file);
  }
});

for (const golden of ["node.prom", "reference_pod.prom"]) {
  Deno.test(`the committed exposition ${golden} has the documented names, types, texts and labels`, () => {
    for (const { name, type, help, labels } of servedFamilies(Deno.readTextFileSync(goldenPath(golden)))) {
      const metric = BY_NAME.get(name);
      assert.ok(metric !== undefined, `${name} is not documented`);
      assert.deepEqual([type, help, labels], [metric.type, metric.help, [metric.labels.join(",")]], name);
    }
  });
}
