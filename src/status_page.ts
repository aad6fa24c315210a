/** The page at `/`: what the agent is, what runs, and what does not and why. */

/** What one agent runs, for people. */
export interface StatusPage {
  readonly version: string;
  readonly profile: string;
  /** Kernel release, as `uname -r`. */
  readonly kernel: string;
  readonly uptimeSeconds: number;
  /** Containers reported on. */
  readonly targets: number;
  readonly collectors: readonly {
    readonly name: string;
    /** Whether its last run succeeded. */
    readonly up: boolean;
    readonly detail: string;
  }[];
  readonly signals: readonly {
    readonly signal: string;
    /** `attached` or `unavailable`. */
    readonly state: string;
    /** The eBPF program, and the kernel hook it is for. */
    readonly hook: string;
    /** Why it is unavailable; empty while attached. */
    readonly reason: string;
  }[];
}

/** What the page may load: its own style sheet, and nothing else. */
export const CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'";

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}
table{border-collapse:collapse}th,td{text-align:left;padding:.15rem 1rem .15rem 0;vertical-align:top}
th{border-bottom:1px solid}`;

/** Returns a self-contained HTML document; `links` are the paths it points to. */
export function renderStatusPage(status: StatusPage, links: readonly string[]): string {
  const facts = [
    ["Version", status.version],
    ["Profile", status.profile],
    ["Kernel", status.kernel],
    ["Uptime", `${Math.floor(status.uptimeSeconds)} s`],
    ["Targets", `${status.targets}`],
  ];
  return `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>kpod-metrics</title><style>${STYLE}</style></head>
<body>
<h1>kpod-metrics</h1>
<p>Kernel metrics of the pods on this node.</p>
<ul>
${links.map((path) => `<li><a href="${escapeHtml(path)}">${escapeHtml(path)}</a></li>`).join("\n")}
</ul>
${table([], facts)}
<h2>Collectors</h2>
${
    table(
      ["Collector", "State", "Detail"],
      status.collectors.map(({ name, up, detail }) => [name, up ? "up" : "down", detail]),
    )
  }
<h2>Signals</h2>
${
    table(
      ["Signal", "State", "Hook", "Reason"],
      status.signals.map(({ signal, state, hook, reason }) => [signal, state, hook, reason]),
    )
  }
</body>
</html>
`;
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cell: "th" | "td") => (values: readonly string[]) =>
    `<tr>${values.map((value) => `<${cell}>${escapeHtml(value)}</${cell}>`).join("")}</tr>`;
  if (rows.length === 0) return "<p>None.</p>";
  const head = headings.length > 0 ? [row("th")(headings)] : [];
  return `<table>\n${[...head, ...rows.map(row("td"))].join("\n")}\n</table>`;
}

const HTML_ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => HTML_ENTITIES[character] ?? character);
}
