/** Recording rules and alerts, as Prometheus' own promtool reads and tries them. */
import assert from "node:assert/strict";
import { ROOT } from "../agent/agent.ts";
import { needsPromtool } from "../agent/golden_file.ts";
import { caseFiles, OPERATOR_FILE, operatorObject, readCases, readRules, RULES_FILE } from "./rules.ts";

const RULES = readRules();
const RECORDS = RULES.flatMap(({ record }) => record ?? []);
const ALERTS = RULES.filter(({ alert }) => alert !== undefined);

async function assertPromtool(...args: string[]): Promise<void> {
  const { code, stdout, stderr } = await new Deno.Command("promtool", { args }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 0, said);
}

Deno.test("promtool finds nothing to say about the rules", needsPromtool, async () => {
  await assertPromtool("check", "rules", "--lint=all", "--lint-fatal", RULES_FILE);
});

for (const path of caseFiles()) {
  const name = path.slice(path.lastIndexOf("/") + 1);
  Deno.test(`the rules do what the cases in ${name} say`, needsPromtool, async () => {
    await assertPromtool("test", "rules", path);
  });
}

Deno.test("the operator's object has the same groups", () => {
  const object = operatorObject(Deno.readTextFileSync(RULES_FILE));
  if (Deno.env.get("UPDATE_GOLDEN") === "1") Deno.writeTextFileSync(OPERATOR_FILE, object);
  assert.equal(
    Deno.readTextFileSync(OPERATOR_FILE),
    object,
    `${OPERATOR_FILE} differs from ${RULES_FILE}; run this test with UPDATE_GOLDEN=1`,
  );
});

Deno.test("some case has every record's value", () => {
  const valued = readCases().flatMap(({ tests }) =>
    tests.flatMap(({ promql_expr_test = [] }) =>
      promql_expr_test.filter(({ exp_samples }) => exp_samples.length > 0).flatMap(({ expr }) =>
        expr.match(/[\w:]+/g) ?? []
      )
    )
  );
  assert.deepEqual(RECORDS.filter((record) => !valued.includes(record)), []);
});

Deno.test("some case has every alert fire, and some has it not", () => {
  const tried = readCases().flatMap(({ tests }) =>
    tests.flatMap(({ alert_rule_test = [] }) => alert_rule_test)
  );
  const untried = (fires: boolean) =>
    ALERTS.map(({ alert }) => alert).filter((alert) =>
      !tried.some(({ alertname, exp_alerts }) => alertname === alert && exp_alerts.length > 0 === fires)
    );
  assert.deepEqual([untried(true), untried(false)], [[], []]);
});

Deno.test("an alert says how bad it is, what is wrong where, and where to read on", () => {
  const headings = Deno.readTextFileSync(`${ROOT}/docs/troubleshooting.md`).match(/(?<=^#+ )Kpod.*$/gm);
  for (const { alert = "", labels = {}, annotations = {} } of ALERTS) {
    assert.match(alert, /^Kpod[A-Z]\w+$/);
    assert.match(labels.severity ?? "", /^(?:info|warning|critical)$/, alert);
    assert.match(annotations.summary ?? "", /^[A-Z].*\.$/, alert);
    assert.equal(annotations.runbook, `docs/troubleshooting.md#${alert.toLowerCase()}`);
    assert.ok(headings?.includes(alert), `docs/troubleshooting.md has no section on ${alert}`);
    // What is absent has no labels.
    if (alert !== "KpodAgentsAbsent") {
      assert.match(annotations.description ?? "", /\$labels\.(?:node|instance)\b/, alert);
    }
  }
});

Deno.test("a record is named level:metric:operations, and after the metric it is made of", () => {
  for (const { record, expr } of RULES) {
    if (record === undefined) continue;
    const [, metric = ""] = /^[a-z_]+:(kpod_[a-z_]+?)(?:_per_[a-z_]+)?:[a-z0-9_]+$/.exec(record) ?? [];
    assert.notEqual(metric, "", record);
    // Nothing else is the number of segments.
    if (metric !== "kpod_net_tcp_segments" && metric !== "kpod_net_tcp_connects") {
      assert.ok(expr.includes(metric), `${record}: ${expr}`);
    }
  }
});

Deno.test("the file says how many series its records have", () => {
  const of = (level: string) => RECORDS.filter((record) => record.startsWith(`${level}:`)).length;
  const [, ...said] = /(\d+) in standard, and (\d+) more for each system call .* root has (\d+)\./
    .exec(Deno.readTextFileSync(RULES_FILE).replace(/\n# /g, " ")) ?? [];
  assert.deepEqual(said.map(Number), [of("container"), of("container_syscall"), of("filesystem")]);
});
