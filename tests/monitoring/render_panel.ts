/** One panel as HTML. */
import type { Panel } from "./dashboard_schema.ts";

/** One series of an answer; of an instant, with one point. */
export interface Series {
  readonly refId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly legend: string;
  readonly points: readonly (readonly [seconds: number, value: number])[];
}

interface Size {
  readonly width: number;
  readonly height: number;
}

const COLOURS = [
  "#73bf69",
  "#f2cc0c",
  "#8ab8ff",
  "#ff780a",
  "#f2495c",
  "#b877d9",
  "#5794f2",
  "#ca95e5",
  "#37872d",
  "#fade2a",
];
const AXIS_PX = 64;
const LEGEND_PX = 14;

export function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

export function draw(panel: Panel, series: readonly Series[], size: Size): string {
  const { defaults } = panel.fieldConfig;
  const found = series.filter(({ points }) => points.some(([, value]) => Number.isFinite(value)));
  if (found.length === 0) return `<p class="none">${escape(defaults.noValue ?? "No data")}</p>`;
  if (panel.type === "table") return table(panel, found);
  if (panel.type === "heatmap") return heatmap(found, size, panel.options.yAxis?.unit ?? "");
  if (panel.type === "timeseries") return lines(panel, found, size);
  const [first] = found;
  const value = panel.options.textMode === "name" ? first?.legend : format(last(first), defaults.unit ?? "");
  return `<p class="big" style="color: ${thresholdColour(panel, last(first))}">${escape(value ?? "")}</p>`;
}

function last(series?: Series): number {
  return series?.points.at(-1)?.[1] ?? NaN;
}

function thresholdColour({ fieldConfig: { defaults } }: Panel, value: number): string {
  const steps = defaults.thresholds?.steps ?? [];
  return steps.findLast((step) => typeof step.value !== "number" || value >= step.value)?.color ?? "white";
}

const SCALES: Readonly<Record<string, readonly [base: number, units: readonly string[]]>> = {
  bytes: [1024, ["B", "KiB", "MiB", "GiB", "TiB"]],
  Bps: [1000, ["B/s", "kB/s", "MB/s", "GB/s"]],
  short: [1000, ["", "K", "Mil", "Bil"]],
  ops: [1000, ["ops/s", "K ops/s", "M ops/s"]],
  iops: [1000, ["io/s", "K io/s"]],
  pps: [1000, ["p/s", "kp/s", "Mp/s"]],
  cps: [1000, ["c/s", "Kc/s"]],
  eps: [1000, ["evt/s", "K evt/s"]],
};

export function format(value: number, unit: string): string {
  if (!Number.isFinite(value)) return String(value);
  if (unit === "percentunit") return `${+(value * 100).toPrecision(3)} %`;
  if (unit === "s") return formatSeconds(value);
  const [base, names] = SCALES[unit] ?? [1000, [unit]];
  const power = Math.min(
    names.length - 1,
    Math.max(0, Math.floor(Math.log(Math.abs(value) || 1) / Math.log(base))),
  );
  return `${+(value / base ** power).toPrecision(3)} ${names[power]}`;
}

function formatSeconds(value: number): string {
  for (
    const [limit, factor, name] of [[1e-6, 1e9, "ns"], [1e-3, 1e6, "µs"], [1, 1e3, "ms"], [
      60,
      1,
      "s",
    ]] as const
  ) {
    if (Math.abs(value) < limit) return `${+(value * factor).toPrecision(3)} ${name}`;
  }
  return value < 3_600 ? `${+(value / 60).toPrecision(3)} min` : `${+(value / 3_600).toPrecision(3)} h`;
}

/** Where the points of all series lie. */
function extent(series: readonly Series[]): { from: number; to: number; top: number } {
  const points = series.flatMap(({ points }) => points);
  const [times, values] = [
    points.map(([time]) => time),
    points.map(([, value]) => value).filter(Number.isFinite),
  ];
  return { from: Math.min(...times), to: Math.max(...times), top: Math.max(...values, 0) };
}

function lines(
  panel: Panel & { type: "timeseries" },
  series: readonly Series[],
  { width, height }: Size,
): string {
  const unit = panel.fieldConfig.defaults.unit ?? "";
  const legend = Math.min(series.length, 6) * LEGEND_PX + 16;
  const { from, to, top: highest } = extent(series);
  const top = panel.fieldConfig.defaults.max ?? (highest * 1.05 || 1);
  const x = (time: number) => AXIS_PX + (time - from) / (to - from || 1) * (width - AXIS_PX);
  const y = (value: number) => (1 - value / top) * (height - legend - 4) + 2;
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) =>
    `<line x1="${AXIS_PX}" x2="${width}" y1="${y(part * top)}" y2="${y(part * top)}" stroke="#2c3235"/>` +
    `<text x="0" y="${Math.min(height - legend, y(part * top) + 8)}" fill="#8e8e8e" font-size="10">${
      format(part * top, unit)
    }</text>`
  );
  const bars = panel.fieldConfig.defaults.custom?.drawStyle === "bars";
  const paths = series.map(({ points }, index) => {
    const drawn = points.map(([time, value], i) => {
      if (!Number.isFinite(value)) return "";
      // A point after a gap begins a line anew.
      const begins = i === 0 || !Number.isFinite(points[i - 1]?.[1]);
      const [left, height] = [x(time).toFixed(1), y(value).toFixed(1)];
      return bars
        ? `M${left},${y(0)}V${height}`
        : `${begins ? `M${left},${height}h1` : ""}L${left},${height}`;
    });
    return `<path d="${drawn.join("")}" fill="none" stroke="${colour(index)}"${
      bars ? ' stroke-width="4"' : ""
    }/>`;
  });
  const byMaximum = series.map((one, index) => ({ ...one, index, top: extent([one]).top })).sort((a, b) =>
    b.top - a.top
  );
  const rows = byMaximum.slice(0, 6).map(({ legend, points, top, index }) => {
    const values = points.map(([, value]) => value).filter(Number.isFinite);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return `<span><b style="color: ${colour(index)}">▬</b> ${escape(legend)}</span> <span>mean ${
      format(mean, unit)
    }</span> <span>max ${format(top, unit)}</span><br>`;
  });
  const more = series.length > 6 ? `<span>and ${series.length - 6} more</span>` : "";
  return `<svg width="${width}" height="${height - legend}">${
    [...grid, ...paths].join("")
  }</svg><p class="legend" style="margin: 0; line-height: ${LEGEND_PX}px">${rows.join("")}${more}</p>`;
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length] ?? "white";
}

/** Cells of the buckets, which Prometheus has cumulated. */
function heatmap(series: readonly Series[], { width, height }: Size, unit: string): string {
  const bound = ({ labels }: Series) => Number((labels["le"] ?? "").replace("+Inf", "Infinity"));
  const buckets = [...series].sort((a, b) => bound(a) - bound(b));
  const times = [...new Set(buckets.flatMap(({ points }) => points.map(([time]) => time)))].sort((a, b) =>
    a - b
  );
  const cumulated = buckets.map(({ points }) => new Map(points));
  const cells = buckets.flatMap((_, row) =>
    times.map((time, column) => {
      const below = row === 0 ? 0 : cumulated[row - 1]?.get(time) ?? 0;
      return { row, column, value: Math.max(0, (cumulated[row]?.get(time) ?? 0) - below) };
    })
  );
  const top = Math.max(...cells.map(({ value }) => value), 1e-12);
  const [w, h] = [(width - AXIS_PX) / times.length, height / buckets.length];
  const drawn = cells.filter(({ value }) => value > 0).map(({ row, column, value }) =>
    `<rect x="${AXIS_PX + column * w}" y="${
      height - (row + 1) * h
    }" width="${w}" height="${h}" fill="#ff780a" fill-opacity="${0.1 + 0.9 * Math.sqrt(value / top)}"/>`
  );
  const labels = buckets.map((bucket, row) =>
    `<text x="0" y="${height - row * h - 2}" fill="#8e8e8e" font-size="9">${
      Number.isFinite(bound(bucket)) ? format(bound(bucket), unit) : "+Inf"
    }</text>`
  );
  return `<svg width="${width}" height="${height}">${[...drawn, ...labels].join("")}</svg>`;
}

function table(panel: Panel & { type: "table" }, series: readonly Series[]): string {
  const organize = panel.transformations?.find(({ id }) => id === "organize");
  if (organize?.id !== "organize") return "";
  const { indexByName, renameByName, excludeByName } = organize.options;
  const rows = new Map<string, Record<string, string | number>>();
  for (const { refId, labels, points } of series) {
    const key = JSON.stringify(Object.entries(labels).sort());
    const name = panel.targets.length > 1 ? `Value #${refId}` : "Value";
    rows.set(key, { ...rows.get(key), ...labels, [name]: points[0]?.[1] ?? NaN });
  }
  const names = [...new Set([...rows.values()].flatMap((row) => Object.keys(row)))]
    .filter((name) => !excludeByName[name])
    .sort((a, b) => (indexByName[a] ?? 99) - (indexByName[b] ?? 99));
  const title = (name: string) => renameByName[name] ?? name;
  const [sort] = panel.options.sortBy ?? [];
  const sortName = names.find((name) => title(name) === sort?.displayName) ?? "";
  const order = (a: string | number = "", b: string | number = "") =>
    typeof a === "number" ? a - Number(b) : a.localeCompare(String(b));
  const sorted = [...rows.values()].sort((a, b) => (sort?.desc ? -1 : 1) * order(a[sortName], b[sortName]));
  const cell = (name: string, value: string | number | undefined) => {
    if (typeof value !== "number") return `<td>${escape(value ?? "")}</td>`;
    const properties =
      panel.fieldConfig.overrides.find(({ matcher }) => matcher.options === title(name))?.properties ?? [];
    const unit = properties.find(({ id }) => id === "unit")?.value;
    const gauge = properties.some(({ id }) => id === "custom.cellOptions");
    const bar = gauge
      ? ` style="background: linear-gradient(90deg, #37872d ${value * 100}%, transparent 0)"`
      : "";
    return `<td${bar}>${format(value, String(unit))}</td>`;
  };
  return `<table><tr>${names.map((name) => `<th>${escape(title(name))}</th>`).join("")}</tr>${
    sorted.map((row) => `<tr>${names.map((name) => cell(name, row[name])).join("")}</tr>`).join("")
  }</table>`;
}
