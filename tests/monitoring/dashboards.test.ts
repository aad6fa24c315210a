/** Grafana's dashboards as files: whether Grafana understands them, and whether they speak of what the agent serves. */
import assert from "node:assert/strict";
import { COLLECTOR_ENTRIES } from "../../src/collectors/list.ts";
import type { Descriptor } from "../../src/metrics/descriptor.ts";
import { PROCESS } from "../../src/metrics/process.ts";
import { CYCLE, DISCOVERY, PROGRAMS } from "../../src/metrics/self.ts";
import { type CollectorName, PROFILES } from "../../src/profiles.ts";
import { ROOT } from "../agent/agent.ts";
import { isOnPath } from "../agent/prometheus.ts";
import type { Dashboard, Panel } from "./dashboard_schema.ts";
import {
  DIRECTORY,
  expressionsOf,
  FILES,
  labelValues,
  metricNames,
  panelsOf,
  queryOf,
  readDashboard,
  variablesIn,
} from "./dashboards.ts";

const DASHBOARDS: readonly Dashboard[] = FILES.map(readDashboard);
const [NODES, POD, AGENTS] = ["nodes", "pod", "agents"].map((name) => {
  const found = DASHBOARDS.find(({ uid }) => uid === `kpod-metrics-${name}`);
  assert.ok(found, `there is no dashboard kpod-metrics-${name}`);
  return found;
}) as [Dashboard, Dashboard, Dashboard];

/** What Grafana gives a value itself. */
const BUILT_IN = ["__rate_interval", "__range", "__url_time_range", "__data", "__all"];

/** Prometheus' own, about its scrapes. */
const OF_PROMETHEUS = ["up", "scrape_samples_scraped", "scrape_duration_seconds"];

const ABOUT_PODS: readonly Descriptor[] = COLLECTOR_ENTRIES.flatMap(({ descriptors }) => descriptors);
const ABOUT_THE_AGENT: readonly Descriptor[] = [...CYCLE, ...DISCOVERY, ...PROGRAMS];

/** Names of the series of a metric. */
function seriesNames({ type, name }: Descriptor): string[] {
  return type === "histogram" ? ["_bucket", "_sum", "_count"].map((suffix) => name + suffix) : [name];
}

/** The smallest of the named profiles that has all metrics of these names. */
function profileOf(names: ReadonlySet<string>): string | undefined {
  const collectors = COLLECTOR_ENTRIES.filter(({ descriptors }) =>
    descriptors.flatMap(seriesNames).some((name) => names.has(name))
  );
  return Object.entries(PROFILES).find(([, enabled]: [string, readonly CollectorName[]]) =>
    collectors.every(({ name }) => enabled.includes(name as CollectorName))
  )?.[0];
}

function each(check: (dashboard: Dashboard) => void): void {
  for (const dashboard of DASHBOARDS) check(dashboard);
}

function eachPanel(check: (panel: Panel, what: string) => void, dashboards = DASHBOARDS): void {
  for (const dashboard of dashboards) {
    for (const panel of panelsOf(dashboard)) check(panel, `${dashboard.uid}: ${panel.title}`);
  }
}

Deno.test("Grafana's own types have every key and value of the dashboards", async () => {
  const directory = await Deno.makeTempDir({ prefix: "kpod-dashboards-" });
  try {
    const paths = FILES.map((file) => {
      const path = `${directory}/${file}.ts`;
      const schema = new URL("dashboard_schema.ts", import.meta.url);
      const text = Deno.readTextFileSync(`${DIRECTORY}/${file}`);
      Deno.writeTextFileSync(
        path,
        `import type { Dashboard } from "${schema}";\nexport const dashboard: Dashboard = ${text}`,
      );
      return path;
    });
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", `--config=${ROOT}/deno.json`, ...paths],
      env: { NO_COLOR: "1" },
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a dashboard's file is named for its uid, and nothing in it belongs to one Grafana only", () => {
  each(({ uid, ...dashboard }) => {
    assert.ok(FILES.includes(`${uid}.json`), `${uid} is not the name of its file`);
    const { id, version, editable, refresh, time, timezone, tags, schemaVersion } = dashboard;
    assert.deepEqual(
      { id, version, editable, refresh, time, timezone, schemaVersion },
      {
        id: undefined,
        version: undefined,
        editable: true,
        refresh: "30s",
        time: { from: "now-1h", to: "now" },
        timezone: "browser",
        // Of Grafana 10.0; later ones bring it up to theirs.
        schemaVersion: 38,
      },
      uid,
    );
    assert.ok(tags?.includes("kpod-metrics"), `${uid} has no tag kpod-metrics`);
  });
});

Deno.test("ids of panels, and of a panel's queries, are unique", () => {
  each((dashboard) => {
    const ids = [
      ...dashboard.panels,
      ...dashboard.panels.flatMap((row) => row.type === "row" ? row.panels : []),
    ]
      .map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, dashboard.uid);
  });
  eachPanel(({ targets }, what) => {
    assert.ok(targets.length > 0, `${what} asks nothing`);
    assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, what);
  });
});

Deno.test("panels lie within the grid, none over another", () => {
  each(({ uid, panels }) => {
    // A collapsed row has its panels where they will be when it is opened.
    for (const group of [panels, ...panels.flatMap((row) => row.type === "row" ? [row.panels] : [])]) {
      const taken = new Map<string, string>();
      for (const { title, gridPos: { x, y, w, h } } of group) {
        assert.ok(x >= 0 && w > 0 && x + w <= 24 && y >= 0 && h > 0, `${uid}: ${title} is not in the grid`);
        for (let row = y; row < y + h; row++) {
          for (let column = x; column < x + w; column++) {
            const other = taken.get(`${row} ${column}`);
            assert.equal(other, undefined, `${uid}: ${title} lies over ${other}`);
            taken.set(`${row} ${column}`, title);
          }
        }
      }
    }
  });
});

Deno.test("every panel says what it shows, in which unit, and takes the data source chosen", () => {
  eachPanel(({ type, title, description, datasource, fieldConfig, options, targets }, what) => {
    assert.ok(title.length > 0 && title.length <= 60, what);
    assert.match(description, /^[A-Z].*[^.]\.$/, `${what} is not described in sentences`);
    assert.deepEqual(datasource, { type: "prometheus", uid: "${datasource}" }, what);
    const columns = fieldConfig.overrides.flatMap(({ properties }) =>
      properties.filter(({ id }) => id === "unit")
    );
    const units = type === "heatmap"
      ? [options.yAxis?.unit, options.cellValues?.unit]
      : type === "table"
      ? columns.map(({ value }) => value)
      : [fieldConfig.defaults.unit];
    assert.ok(units.every((unit) => unit !== undefined), `${what} has no unit`);
    if (type === "table") assert.equal(units.length, targets.length, `${what} has columns without unit`);
  });
});

Deno.test("tables ask for the moment, heatmaps for buckets, graphs for a range with short legends", () => {
  eachPanel(({ type, targets }, what) => {
    for (const { format, instant, range, expr, legendFormat } of targets) {
      if (type === "table") assert.deepEqual([format, instant], ["table", true], what);
      if (type === "heatmap") {
        assert.deepEqual([format, range, legendFormat], ["heatmap", true, "{{le}}"], what);
      }
      if (type === "timeseries") {
        assert.ok(range && legendFormat !== undefined && legendFormat.length < 40, what);
      }
      // A graph of rates over all of the range would be flat; a table of the last moment would miss the rest.
      const [, ...windows] = expr.split("[").map((part) => part.replace(/\].*/s, ""));
      for (const window of windows) {
        const isWhole = instant || expr.includes(`[${window}] @ end()`) && window === "$__range";
        assert.equal(window, isWhole ? "$__range" : "$__rate_interval", `${what}: ${expr}`);
      }
    }
  });
});

Deno.test("counters are only ever shown as what they grew by", () => {
  eachPanel(({ targets }, what) => {
    for (const { expr } of targets) {
      for (
        const [name] of expr.matchAll(/\b(?<!")(?:kpod|process)_\w+_(?:total|bucket|sum|count)\b(?=\{)/g)
      ) {
        const uses = expr.split(name).length - 1;
        const grown = expr.split(new RegExp(`(?:rate|increase)\\(${name}\\b`)).length - 1;
        assert.equal(grown, uses, `${what} shows ${name} itself`);
      }
    }
  });
});

Deno.test("every metric that a dashboard asks for is one that the agent serves", () => {
  const served = new Set([
    ...[...ABOUT_PODS, ...ABOUT_THE_AGENT, ...PROCESS].flatMap(seriesNames),
    ...OF_PROMETHEUS,
  ]);
  each((dashboard) => {
    const variables = dashboard.templating.list.map(queryOf);
    for (const expression of [...expressionsOf(dashboard), ...variables]) {
      for (const name of metricNames(expression)) {
        assert.ok(served.has(name), `${dashboard.uid}: there is no ${name}`);
      }
    }
  });
});

Deno.test("the pod's dashboard has every metric of a pod, the agents' every one of theirs", () => {
  const shown = (dashboard: Dashboard) =>
    new Set(expressionsOf(dashboard).flatMap((expression) => [...metricNames(expression)]));
  const unshown = (dashboard: Dashboard, metrics: readonly Descriptor[]) => {
    const names = shown(dashboard);
    return metrics.filter((metric) => !seriesNames(metric).some((name) => names.has(name))).map(({ name }) =>
      name
    );
  };
  const [aboutPods, other] = [true, false].map((wanted) =>
    ABOUT_PODS.filter(({ labels }) => labels.includes("pod") === wanted)
  );
  assert.deepEqual(unshown(POD, aboutPods ?? []), []);
  assert.deepEqual(unshown(AGENTS, [...ABOUT_THE_AGENT, ...other ?? []]), []);
});

Deno.test("a panel that may be empty because of the profile says so", () => {
  eachPanel(({ targets, fieldConfig: { defaults } }, what) => {
    // What counts nodes and pods takes any of several metrics.
    const metrics = targets.flatMap(({ expr }) => [...metricNames(expr.replace(/__name__=~"[^"]*"/, ""))]);
    const profile = profileOf(new Set(metrics));
    const pattern = {
      minimal: /^(?!.*profile)/,
      standard: /profile minimal/,
      comprehensive: /profile comprehensive/,
    };
    assert.match(defaults.noValue ?? "", pattern[profile as keyof typeof pattern], what);
  });
});

Deno.test("what the variables offer does not depend on the profile", () => {
  each(({ uid, templating: { list } }) => {
    for (const variable of list.filter(({ type, multi }) => type === "query" && !multi)) {
      const { selector } = labelValues(queryOf(variable));
      assert.ok(
        [...metricNames(selector)].some((name) => profileOf(new Set([name])) === "minimal"),
        `${uid}: ${variable.name} asks for ${selector}`,
      );
    }
  });
});

Deno.test("every variable in use is defined, and every one defined is of use", () => {
  each((dashboard) => {
    const defined = dashboard.templating.list.map(({ name }) => name);
    const used = new Set(variablesIn(JSON.stringify(dashboard)).filter((name) => !BUILT_IN.includes(name)));
    assert.deepEqual([...used].sort(), [...defined].sort(), dashboard.uid);
  });
});

Deno.test("links lead to these dashboards and to variables that they have", () => {
  const links = DASHBOARDS.flatMap((dashboard) => [
    ...dashboard.links?.map(({ url }) => url) ?? [],
    ...panelsOf(dashboard).flatMap(({ fieldConfig: { overrides } }) =>
      overrides.flatMap(({ properties }) =>
        properties.flatMap((property) => property.id === "links" ? property.value.map(({ url }) => url) : [])
      )
    ),
  ]);
  for (const link of links) {
    const { pathname, searchParams } = new URL(link ?? "", "http://grafana");
    const target = DASHBOARDS.find(({ uid }) => pathname === `/d/${uid}`);
    assert.ok(target, `${link} leads nowhere`);
    const names = target.templating.list.map(({ name }) => `var-${name}`);
    const wanted = [...searchParams.keys()].filter((name) => !name.startsWith("$"));
    assert.deepEqual(wanted.filter((name) => !names.includes(name)), [], `${link} sets what is not there`);
    if (wanted.length > 1) assert.match(link ?? "", /\$\{__url_time_range\}$/, "the time range is lost");
  }
  each(({ uid, links }) =>
    assert.deepEqual(
      links?.map(({ url }) => url?.replace(/\?.*/, "")).sort(),
      DASHBOARDS.map((other) => `/d/${other.uid}`).filter((url) => url !== `/d/${uid}`).sort(),
      `${uid} does not lead to all others`,
    )
  );
});

Deno.test("every table of pods leads to the pod's dashboard", () => {
  eachPanel((panel, what) => {
    if (panel.type !== "table" || !panel.targets.some(({ expr }) => /by \([^)]*\bpod\b/.test(expr))) return;
    const pod = panel.fieldConfig.overrides.find(({ matcher }) => matcher.options === "pod");
    assert.match(JSON.stringify(pod?.properties ?? []), /\/d\/kpod-metrics-pod\?/, what);
  }, [NODES]);
});

Deno.test("columns are named and formatted by names that the table has", () => {
  eachPanel((panel, what) => {
    if (panel.type !== "table") return;
    const [merge, organize] = panel.targets.length > 1
      ? panel.transformations ?? []
      : [, panel.transformations?.[0]];
    assert.equal(merge?.id, panel.targets.length > 1 ? "merge" : undefined, what);
    assert.ok(organize?.id === "organize", what);
    const { indexByName, renameByName } = organize.options;
    const values = panel.targets.map(({ refId }) => panel.targets.length > 1 ? `Value #${refId}` : "Value");
    assert.deepEqual(Object.keys(renameByName), values, what);
    const columns = Object.keys(indexByName).map((name) => renameByName[name] ?? name);
    const named = [
      ...panel.fieldConfig.overrides.map(({ matcher }) => matcher.options),
      ...panel.options.sortBy?.map(({ displayName }) => displayName) ?? [],
    ];
    assert.deepEqual(named.filter((name) => !columns.includes(name ?? "")), [], what);
    assert.deepEqual(values.filter((name) => !(name in indexByName)), [], what);
  });
});

Deno.test("every dashboard is in the kustomization, and small enough to be applied", () => {
  const kustomization = Deno.readTextFileSync(`${DIRECTORY}/Kustomization`);
  const maps = [...kustomization.matchAll(/^ {2}- name: (\S+)\n {4}files:\n {6}- (\S+)$/gm)];
  assert.deepEqual(maps.map(([, , file]) => file).sort(), FILES);
  for (const [, name, file] of maps) assert.equal(`${name}.json`, file);
  for (const file of FILES) {
    // `kubectl apply` keeps the whole config map, escaped, in an annotation; all of those have 256 KiB.
    const { length } = JSON.stringify(Deno.readTextFileSync(`${DIRECTORY}/${file}`));
    assert.ok(length < 200_000, `${file} is ${length} bytes as an annotation`);
  }
});

const kubectl = ["kubectl", "kustomize"].find(isOnPath);

Deno.test(
  "kustomize makes config maps that Grafana's sidecar picks up",
  { ignore: kubectl === undefined },
  async () => {
    const { success, stdout, stderr } = await new Deno.Command(kubectl ?? "", {
      args: [kubectl === "kubectl" ? "kustomize" : "build", DIRECTORY],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    const maps = new TextDecoder().decode(stdout).split(/^---$/m);
    assert.equal(maps.length, FILES.length);
    for (const map of maps) {
      const [, file = "", text = ""] = /^ {2}(\S+\.json): \|\n((?: {4}.*\n)+)/m.exec(map) ?? [];
      assert.deepEqual(JSON.parse(text), readDashboard(file), map);
      assert.match(map, /^kind: ConfigMap$/m);
      assert.match(map, /^ {4}grafana_dashboard: "1"$/m);
      assert.match(map, new RegExp(`^  name: ${file.replace(".json", "")}$`, "m"));
    }
  },
);
