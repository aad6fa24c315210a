/** Recording rules and alerts over a real Prometheus that scrapes real agents: whether each of them selects anything. */
import assert from "node:assert/strict";
import { eventually, type Labels } from "../agent/agent.ts";
import {
  LAB_NODE,
  type Live,
  needsLive,
  type Query,
  RANGE,
  RECORDED_NODE,
  type Sample,
  withLivePrometheus,
} from "./live.ts";
import { RULES_FILE, selectorsOf, withoutBounds, withRange } from "./rules.ts";

/** What Prometheus says of a rule that it has loaded. */
interface LoadedRule {
  readonly type: "recording" | "alerting";
  readonly name: string;
  readonly query: string;
  readonly health: string;
  readonly lastError?: string;
  readonly alerts?: readonly { readonly labels: Labels; readonly annotations: Labels }[];
}

/** Alerts that the pods, or what is wrong here on purpose, raise; the others would take longer, or what must not happen. */
const RAISED = [
  "KpodAgentDown",
  "KpodCollectorDown",
  "KpodCpuPressureHigh",
  "KpodCpuThrottled",
  "KpodIoPressureHigh",
  "KpodMapNearlyFull",
  "KpodMapUpdatesRefused",
  "KpodMemoryPressureHigh",
  "KpodNodeWithoutAgent",
  "KpodOomKill",
  "KpodSignalUnavailable",
  "KpodTcpConnectFailuresHigh",
  "KpodUnattributedCgroups",
];

Deno.test(
  "every rule selects series of real agents, and alerts are raised by what is wrong",
  needsLive,
  async (t) => {
    const directory = await Deno.makeTempDir();
    try {
      const ruleFile = `${directory}/rules.yaml`;
      // An hour is more than Prometheus has seen here.
      await Deno.writeTextFile(ruleFile, withRange(await Deno.readTextFile(RULES_FILE), RANGE));
      await withLivePrometheus(async (query, live) => {
        await t.step("every rule is evaluated", () => assertHealthy(live));
        await t.step("every record has series", () => assertRecords(query, live));
        await t.step("every selector selects series", () => assertSelectors(query, live));
        await t.step("every alert looks at series", () => assertAlerts(query, live));
        await t.step("what is wrong raises alerts", () => assertRaised(live));
        await t.step("healthy agents raise none about themselves", () => assertQuiet(live));
      }, { ruleFiles: [ruleFile] });
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);

async function loadedRules(url: string): Promise<LoadedRule[]> {
  const response = await fetch(`${url}/api/v1/rules`);
  const { data } = await response.json() as { data: { groups: { rules: LoadedRule[] }[] } };
  return data.groups.flatMap(({ rules }) => rules);
}

async function assertHealthy({ url }: Live): Promise<void> {
  const rules = await loadedRules(url);
  assert.ok(rules.length > 0);
  assert.deepEqual(rules.filter(({ health }) => health !== "ok"), []);
}

async function assertRecords(query: Query, { url }: Live): Promise<void> {
  const records = (await loadedRules(url)).filter(({ type }) => type === "recording");
  for (const { name, query: expression } of records) {
    assertFinite(await query(name), `${name}: ${expression}`);
  }
}

async function assertSelectors(query: Query, { url }: Live): Promise<void> {
  for (const { name, query: expression } of await loadedRules(url)) {
    const selectors = selectorsOf(expression);
    assert.ok(selectors.length > 0, `no selectors found in ${expression}`);
    for (const selector of selectors) assertFinite(await query(selector), `${name}: ${selector}`);
  }
}

async function assertAlerts(query: Query, { url }: Live): Promise<void> {
  const alerts = (await loadedRules(url)).filter(({ type }) => type === "alerting");
  for (const { name, query: expression } of alerts) {
    // What is absent was so before there was anything.
    const time = expression.startsWith("absent(") ? 0 : Date.now();
    const without = withoutBounds(expression);
    assert.ok(without !== expression || time === 0, `${name} is compared with no number: ${expression}`);
    assertFinite(await query(without, time), `${name}: ${without}`);
  }
}

function assertFinite(samples: readonly Sample[], what: string): void {
  assert.ok(samples.some(({ value }) => Number.isFinite(value)), `nothing selected by ${what}`);
}

/** Asserts that those alerts are pending or firing, and say what they are about. */
async function assertRaised({ url }: Live): Promise<void> {
  let rules: LoadedRule[] = [];
  await eventually("all alerts are raised that should be", async () => {
    rules = await loadedRules(url);
    const missing = RAISED.filter((alert) =>
      !rules.some(({ name, alerts = [] }) => name === alert && alerts.length > 0)
    );
    return missing.length === 0 || missing.join();
  });
  for (const { name, alerts = [] } of rules) {
    for (const { annotations } of alerts) {
      for (const text of Object.values(annotations)) {
        assert.doesNotMatch(text, /<no value>|<error|%!|\s{2}|\b(?:of|at|node|container) (?:[/,.:]|$)/, name);
      }
    }
  }
}

async function assertQuiet({ url }: Live): Promise<void> {
  const alerts = (await loadedRules(url)).flatMap(({ alerts = [] }) => alerts);
  // Alerts about pods are of no instance.
  const own = alerts.filter(({ labels: { instance, node = "" } }) =>
    instance !== undefined && [LAB_NODE, RECORDED_NODE].includes(node)
  );
  assert.deepEqual(own.map(({ annotations }) => annotations.description), []);
}
