/**
 * Draws the dashboards over a live lab node into one HTML file, roughly as Grafana would, to look at them without one:
 * `deno run --allow-all tests/monitoring/render.ts OUT.html [SECONDS]`. Every pod has its page; `OUT.html#PAGE` shows one.
 */
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ensureTools, LAB_TOOLS, TEST_TOOLS, unpackTools } from "../../native/tools.ts";
import type { Panel } from "./dashboard_schema.ts";
import { choices, FILES, interpolate, panelsOf, readDashboard, type Values } from "./dashboards.ts";
import { draw, escape, type Series } from "./render_panel.ts";

const [out, text = "60"] = Deno.args;
const seconds = Number(text);
if (out === undefined || !(seconds > 0)) {
  console.error(
    "Usage: deno run --allow-all tests/monitoring/render.ts OUT.html [SECONDS of load to show, 60 by default]",
  );
  Deno.exit(2);
}

await ensureTools(LAB_TOOLS);
Deno.env.set(
  "PATH",
  await unpackTools(TEST_TOOLS, fileURLToPath(new URL("../build/tools", import.meta.url))),
);
// Only now: it looks for Prometheus when it is imported.
const { RANGE, withLivePrometheus } = await import("./live.ts");

const COLUMN_PX = 64;
const ROW_PX = 38;

const pages: string[] = [];
await withLivePrometheus(async (_, { url }) => {
  await pause(seconds * 1_000);
  const end = Date.now() / 1_000;
  for (const dashboard of FILES.map(readDashboard)) {
    const builtIn = { __rate_interval: RANGE, __range: `${seconds}s` };
    for await (const values of choices(url, dashboard.templating.list, builtIn)) {
      const panels = await Promise.all(
        panelsOf(dashboard).map(async (panel) => place(panel, await ask(url, panel, values, end))),
      );
      const rows = dashboard.panels.flatMap((row) =>
        row.type === "row" ? [box(row.gridPos, "row", escape(row.title))] : []
      );
      const name = [dashboard.uid, values["namespace"], values["pod"]].filter((part) => part).join("/");
      const bottom = Math.max(...panelsOf(dashboard).map(({ gridPos: { y, h } }) => y + h));
      pages.push(
        `<section id="${name}" style="height: ${bottom * ROW_PX + 40}px"><h1>${
          escape(dashboard.title)
        } ${name}</h1>` +
          `<div>${[...rows, ...panels].join("\n")}</div></section>`,
      );
    }
  }
});
Deno.writeTextFileSync(out, page(pages));
console.log(`${pages.length} pages in ${out}`);
Deno.exit(0);

async function ask(url: string, { targets }: Panel, values: Values, end: number): Promise<Series[]> {
  const answers = await Promise.all(targets.map(async ({ expr, instant, legendFormat = "", refId }) => {
    const parameters: Record<string, string> = instant
      ? { time: String(end) }
      : { start: String(end - seconds), end: String(end), step: String(Math.max(1, seconds / 120)) };
    const query = new URLSearchParams({ query: interpolate(expr, values), ...parameters });
    const { data, error } = await (await fetch(`${url}/api/v1/${instant ? "query" : "query_range"}?${query}`))
      .json();
    if (data === undefined) throw new Error(`Cannot query ${expr}: got ${error}`);
    type Answer = { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] };
    return (data.result as Answer[]).map(({ metric, value, values = value ? [value] : [] }): Series => ({
      refId,
      labels: metric,
      legend: legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ""),
      points: values.map(([time, number]) => [time, Number(number)]),
    }));
  }));
  return answers.flat();
}

function place(panel: Panel, series: readonly Series[]): string {
  const { w, h } = panel.gridPos;
  const content = draw(panel, series, { width: w * COLUMN_PX - 20, height: h * ROW_PX - 42 });
  return box(
    panel.gridPos,
    panel.type,
    `<h2 title="${escape(panel.description)}">${escape(panel.title)}</h2>${content}`,
  );
}

function box({ x, y, w, h }: Panel["gridPos"], kind: string, content: string): string {
  const [left, top] = [x * COLUMN_PX, y * ROW_PX];
  const [width, height] = [w * COLUMN_PX - 8, h * ROW_PX - 8];
  return `<article class="${kind}" style="left:${left}px;top:${top}px;width:${width}px;height:${height}px">${content}</article>`;
}

function page(sections: readonly string[]): string {
  return `<!DOCTYPE html><meta charset="utf-8"><title>Dashboards</title><style>
    body { background: #111217; color: #ccccdc; font: 12px sans-serif; margin: 8px; width: ${
    24 * COLUMN_PX
  }px }
    h1 { font-size: 16px; height: 24px; margin: 4px } h2 { font-size: 13px; margin: 2px 0 6px }
    div { position: relative } article { position: absolute; background: #181b1f; border: 1px solid #2c3235; overflow: hidden; padding: 0 4px }
    .row { background: none; border: none; font-weight: bold; padding-top: 6px } table { border-collapse: collapse; width: 100% }
    td, th { text-align: left; padding: 3px 6px; border-bottom: 1px solid #2c3235; white-space: nowrap } .none { color: #8e8e8e; text-align: center; margin-top: 40px }
    .big { font-size: 32px; text-align: center } .legend span { margin-right: 10px; white-space: nowrap }
    </style><body>${sections.join("\n")}<script>
    const only = decodeURIComponent(location.hash.slice(1));
    for (const section of document.querySelectorAll("section")) section.hidden = only !== "" && section.id !== only;
    </script>`;
}
