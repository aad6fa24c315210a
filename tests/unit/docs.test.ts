/** What the documentation names exists: files, sections, tasks, settings, metrics, alerts, and the agent's own words. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { COLLECTOR_ENTRIES } from "../../src/collectors/list.ts";
import { VARIABLES } from "../../src/config_variables.ts";
import { CYCLE, DISCOVERY, PROGRAMS, WEB } from "../../src/metrics/self.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const text = (path: string) => Deno.readTextFileSync(join(ROOT, path));

const PAGES = [
  "README.md",
  "CONTRIBUTING.md",
  ...[...Deno.readDirSync(join(ROOT, "docs"))].map(({ name }) => `docs/${name}`).filter((path) =>
    path.endsWith(".md")
  ),
].toSorted();

/** What a page says of other programs' settings and metrics, or of this one's former ones, need not exist. */
const OTHERS: Readonly<Record<string, RegExp>> = { "docs/migration.md": /./ };

const METRICS = new Set(
  [
    ...COLLECTOR_ENTRIES.flatMap(({ descriptors }) => descriptors),
    ...CYCLE,
    ...DISCOVERY,
    ...PROGRAMS,
    ...WEB,
  ]
    .map(({ name }) => name),
);

function exists(path: string): boolean {
  try {
    Deno.lstatSync(join(ROOT, path));
    return true;
  } catch {
    return false;
  }
}

/** As GitHub makes anchors of headings, a repeated one numbered. */
function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of withoutBlocks(page).matchAll(/^#{1,6} (.+)$/gm)) {
    const anchor = heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
    let unique = anchor;
    for (let count = 1; anchors.has(unique); count++) unique = `${anchor}-${count}`;
    anchors.add(unique);
  }
  return anchors;
}

function withoutBlocks(page: string): string {
  return text(page).replaceAll(/^```[^]*?^```/gm, "");
}

/** Every name that `{a,b}` in a pattern stands for. */
function expand(pattern: string): string[] {
  const [, before = "", options, after = ""] = /^([^{]*)\{([^}]*)\}(.*)$/.exec(pattern) ?? [];
  return options === undefined
    ? [pattern]
    : options.split(",").flatMap((option) => expand(before + option + after));
}

for (const page of PAGES) {
  Deno.test(`${page}: its links lead somewhere`, () => {
    const links = [...withoutBlocks(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
    for (const link of links.filter((each) => !/^https?:/.test(each))) {
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? page : join(dirname(page), path);
      assert.ok(exists(target), `${link}: there is no ${target}`);
      if (anchor !== undefined) {
        assert.ok(anchorsOf(target).has(anchor), `${link}: ${target} has no such section`);
      }
    }
  });

  Deno.test(`${page}: the files and tasks it names exist`, () => {
    const folders = "bpf|docs|manifests|native|src|tests";
    for (const [path] of text(page).matchAll(RegExp(`(?<![\\w./-])(?:${folders})/[\\w./*-]*[\\w*]`, "g"))) {
      // A pattern stands for what is in its folder; what is built need not be there.
      const fixed = path.includes("*") ? dirname(path.slice(0, path.indexOf("*"))) : path;
      if (fixed.includes("/build") || fixed.endsWith(".o")) continue;
      assert.ok(exists(fixed), `there is no ${path}`);
    }
    const { tasks } = JSON.parse(text("deno.json"));
    for (const [, task = ""] of text(page).matchAll(/\b(?:deno|deno@\d[\d.]*) task (?!…)([\w:-]+)/g)) {
      assert.ok(task in tasks, `deno.json has no task ${task}`);
    }
  });

  Deno.test(`${page}: its examples can be read`, async () => {
    for (const [, language = "", example = ""] of text(page).matchAll(/^```(sh|yaml)\n([^]*?)^```/gm)) {
      if (language === "yaml") parse(example, { strict: true });
      else {
        const { stderr } = await new Deno.Command("sh", { args: ["-n", "-c", example] }).output();
        assert.equal(new TextDecoder().decode(stderr), "", example);
      }
    }
  });

  Deno.test(`${page}: the settings and metrics it names exist`, () => {
    if (OTHERS[page] !== undefined) return;
    for (const [name] of text(page).matchAll(/\bKPOD_[A-Z_]*[A-Z]\b(?!\*)/g)) {
      assert.ok(name in VARIABLES, `there is no setting ${name}`);
    }
    for (const [pattern] of text(page).matchAll(/(?<![\w:-])kpod_[a-z_{},]*(?:[a-z}]|_\*)(?![\w/])/g)) {
      for (const name of expand(pattern.replace(/\{[a-z_]+$/, "").replace(/,+$/, ""))) {
        const family = name.replace(/_(?:bucket|sum|count)$/, "");
        assert.ok(METRICS.has(name) || METRICS.has(family) || isPrefix(name), `there is no metric ${name}`);
      }
    }
  });
}

/** `kpod_net_tcp_*` and the like. */
function isPrefix(name: string): boolean {
  return name.endsWith("*") && [...METRICS].some((metric) => metric.startsWith(name.slice(0, -1)));
}

Deno.test("every alert has a section that its runbook leads to, and every section an alert", () => {
  const rules = text("manifests/prometheus/kpod-metrics.rules.yaml");
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, alert = ""]) => alert);
  assert.ok(alerts.length > 10);
  const page = "docs/troubleshooting.md";
  const sections = [...text(page).matchAll(/^### (Kpod\w+)$/gm)].map(([, section]) => section);
  assert.deepEqual(sections, alerts);
  const runbooks = [...rules.matchAll(/runbook: (\S+)/g)].map(([, runbook]) => runbook);
  assert.deepEqual(runbooks, alerts.map((alert) => `${page}#${alert.toLowerCase()}`));
});

/** What the agent puts together, by its parts in the sources. */
const IN_PARTS: Readonly<Record<string, readonly string[]>> = {
  "waiting for the kubelet's first good answer": ["`waiting for the ${what", "kubelet's last good answer"],
  "the kubelet's last good answer is": ["`the ${what} is", "kubelet's last good answer"],
  "the last cycle is": ["`the ${what} is", '"last cycle"'],
};

Deno.test("the agent's words that troubleshooting quotes are the agent's", () => {
  const sources = ["src", "mod.ts"].flatMap(filesOf).map(text).join("\n")
    // A text that goes on in the next line, and what is filled in.
    .replaceAll(/["`]\s*\+\s*["`]/g, "");
  const page = text("docs/troubleshooting.md");
  const quoted = [
    ...[...page.matchAll(/^### `([^`]+ [^`]+)`$/gm)].map(([, words = ""]) => words),
    ...[...page.matchAll(/^- \*\*`([^`]+ [^`]+)`\*\*/gm)].map(([, words = ""]) => words),
    ...[...page.matchAll(/^\| `([^`]+ [^`]+)` /gm)].map(([, words = ""]) => words),
  ];
  assert.ok(quoted.length > 20, `${quoted.length}`);
  for (const words of quoted) {
    for (const part of IN_PARTS[words] ?? words.split("…").map((each) => each.trim())) {
      assert.ok(sources.includes(part), `no source says ${part}`);
    }
  }
});

Deno.test("troubleshooting explains each line of the preflight, and each reason of a failed question", () => {
  const page = text("docs/troubleshooting.md");
  const doctor = filesOf("src/doctor").map(text).join("\n");
  const checks = new Set([
    ...[...doctor.matchAll(/\b(?:ok|warn|fail)\(\s*"([\w ]+)"/g)].map(([, check = ""]) => check),
    ...[...doctor.matchAll(/\bcheck\("([\w ]+)"/g)].map(([, check = ""]) => check),
    ...[...doctor.matchAll(/^const [A-Z]+ = "([a-z][\w ]+)";$/gm)].map(([, check = ""]) => check),
  ]);
  assert.ok(checks.size > 15, [...checks].join());
  checks.delete("signals");
  for (const check of checks) assert.ok(page.includes(`\`${check}\``), `it says nothing of ${check}`);
  const [, reasons = ""] =
    /KUBELET_ERROR_REASONS = \[([^\]]*)\]/.exec(text("src/discovery/kubelet_error.ts")) ?? [];
  for (const [, reason] of reasons.matchAll(/"(\w+)"/g)) {
    assert.match(page, RegExp(`^\\| \`${reason}\` `, "m"), `it says nothing of ${reason}`);
  }
});

function filesOf(path: string): string[] {
  if (!Deno.statSync(join(ROOT, path)).isDirectory) return [path];
  return [...Deno.readDirSync(join(ROOT, path))].flatMap(({ name }) => filesOf(`${path}/${name}`))
    .filter((file) => file.endsWith(".ts"));
}
