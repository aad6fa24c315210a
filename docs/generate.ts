/**
 * `deno task docs`: writes docs/metrics.md from the descriptors that the exposition is made from, and from what
 * docs/notes/ says of each; and docs/licenses.md.
 */
import { COLLECTOR_ENTRIES } from "../src/collectors/list.ts";
import { type Descriptor, POD_LABELS } from "../src/metrics/descriptor.ts";
import { histogramBounds } from "../src/metrics/histogram.ts";
import { PROCESS } from "../src/metrics/process.ts";
import { CYCLE, DISCOVERY, PROGRAMS, WEB } from "../src/metrics/self.ts";
import { type Rung, type SignalName, SIGNALS } from "../src/native/signals.ts";
import { type CollectorName, PROFILES } from "../src/profiles.ts";
import { LICENSES_PAGE, licensesPage } from "./licenses.ts";
import { table, wrapped } from "./markdown.ts";
import { FILE_NOTES } from "./notes/files.ts";
import { KERNEL_NOTES } from "./notes/kernel.ts";
import type { Note, Notes } from "./notes/note.ts";
import { COLLECTOR_SECTIONS, type Section, SELF_SECTIONS } from "./notes/sections.ts";
import { SELF_NOTES } from "./notes/self.ts";

export const METRICS_PAGE = new URL("metrics.md", import.meta.url);

export const NOTES: Notes = { ...KERNEL_NOTES, ...FILE_NOTES, ...SELF_NOTES };

/** Metrics that belong together, with what the page says of all of them. */
interface Group extends Section {
  readonly name: string;
  readonly metrics: readonly (Descriptor & { readonly signal?: SignalName })[];
  /** The profiles that have them. */
  readonly profiles: readonly string[];
}

/** Everything there is, in the order of the page. */
export const GROUPS: readonly Group[] = [
  ...COLLECTOR_ENTRIES.map(({ name, descriptors }) => ({
    ...COLLECTOR_SECTIONS[name as CollectorName],
    name,
    metrics: descriptors,
    profiles: profilesWith(name),
  })),
  ...Object.entries({ cycle: CYCLE, discovery: DISCOVERY, programs: PROGRAMS, web: WEB, process: PROCESS })
    .map((
      [name, metrics],
    ) => ({
      ...SELF_SECTIONS[name as keyof typeof SELF_SECTIONS],
      name,
      metrics,
      profiles: Object.keys(PROFILES),
    })),
];

function profilesWith(collector: string): string[] {
  return Object.entries(PROFILES).filter(([, names]) => (names as readonly string[]).includes(collector)).map(
    (
      [profile],
    ) => profile,
  );
}

/** The text of the page. */
export function metricsPage(): string {
  return `${[HEAD, indexTable(), ...GROUPS.map(section)].join("\n\n")}\n`;
}

const HEAD = `# Metrics

<!-- Written by \`deno task docs\`: change the descriptors in src/, or docs/notes/, and run that. -->

${
  wrapped(
    "Every metric about pods has the labels `namespace`, `pod`, `container` and `node`, called the labels of a container below; `le` of histograms is not named. Units are " +
      "seconds and bytes; a metric without one counts what its text says. A counter never goes backwards while its pod exists, restarts of " +
      "its containers included, and a pod's series end two poll intervals after the pod. What a kernel or a cgroup does not tell is " +
      "absent, not 0. What eBPF programs count begins with 0 when the agent first sees a container, system calls aside, so that `increase()` sees a first event.",
  )
}

${
  wrapped(
    `Histogram bounds in seconds, with \`KPOD_HISTOGRAM_RESOLUTION=coarse\`: ${
      histogramBounds("coarse").filter(Number.isFinite).map((bound) => `2^${Math.log2(bound)}`).join(", ")
    } and infinity; \`fine\` has the powers between them too. The queries take a window of five minutes: make it four scrape intervals at least.`,
  )
}`;

function indexTable(): string {
  const rows = GROUPS.flatMap(({ name, about, metrics }) =>
    metrics.map((metric) => [
      `[\`${metric.name}\`](#${metric.name})`,
      metric.type,
      unitOf(metric.name) ?? "–",
      `[${name}](#${anchorOf(`${name}: ${about}`)})`,
    ])
  );
  return table(["metric", "type", "unit", "section"], rows);
}

/** Seconds, bytes, or nothing for what is counted one by one. */
export function unitOf(name: string): string | undefined {
  if (/_(?:timestamp|start_time)_seconds$/.test(name)) return "Unix seconds";
  return /_(seconds|bytes)(?:_|$)/.exec(name)?.[1];
}

function section({ name, about, from, text, profiles, metrics }: Group): string {
  const all = profiles.length === Object.keys(PROFILES).length;
  const facts = [
    all ? "In every profile." : `In ${profiles.map((profile) => `\`${profile}\``).join(" and ")}.`,
    ...(from === undefined ? [] : [`From ${from}.`]),
    ...(text === undefined ? [] : [text]),
  ];
  return [`## ${name}: ${about}`, wrapped(facts.join(" ")), ...metrics.map(entry)].join("\n\n");
}

function entry(metric: Group["metrics"][number]): string {
  const { name, help } = metric;
  const note = NOTES[name];
  if (note === undefined) {
    throw new Error(`Cannot describe ${name}: docs/notes/ has nothing on it; add it there`);
  }
  const { event, mind, ask: [question, query] } = note;
  const said = [
    help,
    ...(event === undefined ? [] : [`One event: ${event}.`]),
    ...(mind === undefined ? [] : [mind]),
  ];
  return [
    `### ${name}`,
    wrapped(factsOf(metric, note)),
    wrapped(said.join(" ")),
    `\`\`\`promql\n# ${question}\n${query}\n\`\`\``,
  ].join("\n\n");
}

/** Type, unit, labels, and where it is from. */
function factsOf({ type, name, labels, signal }: Group["metrics"][number], note: Note): string {
  const unit = unitOf(name);
  const more = labels.filter((label) => !POD_LABELS.includes(label)).map((label) => `\`${label}\``).join(
    ", ",
  );
  const ofPod = labels.length > 0 && POD_LABELS.every((label) => labels.includes(label));
  const from = signal === undefined ? note.from : hooksOf(signal);
  return `${
    [
      `${type.charAt(0).toUpperCase()}${type.slice(1)}${unit === undefined ? "" : ` in ${unit}`}`,
      [ofPod ? "labels of a container" : "", more].filter((text) => text !== "").join(" and ") || "no labels",
      ...(from === undefined ? [] : [`from ${from}`]),
    ].join("; ")
  }.`;
}

/** The programs that deliver a signal, best first. */
function hooksOf(signal: SignalName): string {
  const rungs: readonly Rung[] = SIGNALS.find(({ name }) => name === signal)?.rungs ?? [];
  return rungs.map(({ hook, programs, wherePreempted }) =>
    `${programs.map((program) => `\`${program}\``).join(", ")} (${hook}${
      wherePreempted ? ", where the kernel preempts programs" : ""
    })`
  ).join(", else ");
}

/** As GitHub makes anchors of headings. */
function anchorOf(heading: string): string {
  return heading.toLowerCase().replaceAll(/[^a-z0-9 _-]/g, "").replaceAll(" ", "-");
}

if (import.meta.main) {
  await Deno.writeTextFile(METRICS_PAGE, metricsPage());
  await Deno.writeTextFile(LICENSES_PAGE, licensesPage());
}
