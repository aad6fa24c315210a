/** What docs/migration.md and docs/scaling.md show to be copied: queries, configurations, names of settings. */
import assert from "node:assert/strict";
import { GROUPS } from "../../docs/generate.ts";
import { VARIABLES } from "../../src/config_variables.ts";
import { ROOT } from "../agent/agent.ts";
import { needsPromtool } from "../agent/golden_file.ts";

const PAGES = ["migration.md", "scaling.md"].map((name) => ({
  name,
  text: Deno.readTextFileSync(`${ROOT}/docs/${name}`),
}));

/** Variables of the agent before this one. */
const OLD_VARIABLES = ["KPOD_DISCOVERY_MODE"];

const METRICS = new Set(GROUPS.flatMap(({ metrics }) => metrics.map(({ name }) => name)));

function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^( *)\`\`\`${language}\n(.*?)\n\\1\`\`\`$`, "gms"))]
    .map(([, indent = "", block = ""]) => block.replaceAll(new RegExp(`^${indent}`, "gm"), ""));
}

/** The queries of the page's blocks, and of the last column of its table of queries before and now. */
function queries(text: string): string[] {
  const [, table = ""] = text.split(/^(?=\| asked for )/m);
  const rows = table.split("\n\n", 1).join("").split("\n").slice(2);
  const cells = rows.map((row) => row.split(" | ").at(-1) ?? "");
  return [
    ...blocks(text, "promql"),
    ...cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, query = ""]) => query)),
  ];
}

/** Debian's Prometheus knows no cluster. */
function withoutDiscovery(config: string): string {
  return config.replaceAll(/^( *)kubernetes_sd_configs:\n(?:\1 .*\n)+/gm, "");
}

async function assertChecked(kind: "config" | "rules", text: string): Promise<void> {
  const file = await Deno.makeTempFile({ suffix: ".yml" });
  try {
    await Deno.writeTextFile(file, text);
    const flags = kind === "config" ? ["--syntax-only"] : [];
    const { code, stdout, stderr } = await new Deno.Command("promtool", {
      args: ["check", kind, ...flags, file],
    })
      .output();
    assert.equal(code, 0, `${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}\n${text}`);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("Prometheus can parse every query shown", needsPromtool, async () => {
  const shown = PAGES.flatMap(({ text }) => queries(text));
  assert.ok(shown.length >= 10, shown.join("\n"));
  const rules = shown.map((expr, index) => ({ record: `shown:${index}`, expr }));
  // JSON is YAML.
  await assertChecked("rules", JSON.stringify({ groups: [{ name: "shown", rules }] }));
});

Deno.test("Prometheus takes every configuration and rule shown", needsPromtool, async () => {
  const shown = PAGES.flatMap(({ text }) => blocks(text, "yaml"));
  for (const block of shown) {
    if (/^scrape_configs:/m.test(block)) await assertChecked("config", withoutDiscovery(block));
    else if (/^groups:/m.test(block)) await assertChecked("rules", block);
    else assert.match(block, /^resources:/, "neither Prometheus' nor kustomize's");
  }
  assert.equal(shown.filter((block) => /^(?:scrape_configs|groups):/m.test(block)).length, 4);
});

Deno.test("every query shown asks for metrics that there are", () => {
  for (const query of PAGES.flatMap(({ text }) => queries(text))) {
    for (const [name] of query.matchAll(/\bkpod_[a-z_]+\b(?!\.\+)/g)) {
      const family = name.replace(/_(?:bucket|sum|count)$/, "");
      assert.ok(METRICS.has(name) || METRICS.has(family), `${name} in ${query}`);
    }
  }
});

for (const { name, text } of PAGES) {
  Deno.test(`every variable that ${name} names exists`, () => {
    for (const [variable] of text.matchAll(/\bKPOD_[A-Z_]+\b/g)) {
      assert.ok(variable in VARIABLES || OLD_VARIABLES.includes(variable), variable);
    }
  });
}
