/** The dashboards as Grafana reads them, and what it makes of their variables. */
import { ROOT } from "../agent/agent.ts";
import type { Dashboard, Panel, Variable } from "./dashboard_schema.ts";

export const DIRECTORY = `${ROOT}/manifests/grafana`;

/** Their files: the uid of a dashboard and `.json`. */
export const FILES: readonly string[] = [...Deno.readDirSync(DIRECTORY)]
  .map(({ name }) => name)
  .filter((name) => name.endsWith(".json"))
  .sort();

export function readDashboard(file: string): Dashboard {
  return JSON.parse(Deno.readTextFileSync(`${DIRECTORY}/${file}`));
}

/** All panels, those of collapsed rows included, without the rows themselves. */
export function panelsOf({ panels }: Dashboard): Panel[] {
  return panels.flatMap((panel) => panel.type === "row" ? panel.panels : [panel]);
}

/** All that Prometheus is asked by the panels. */
export function expressionsOf(dashboard: Dashboard): string[] {
  return panelsOf(dashboard).flatMap(({ targets }) => targets.map(({ expr }) => expr));
}

/** Names of metrics, or of their series, that an expression selects. */
export function metricNames(expression: string): Set<string> {
  return new Set(expression.match(/\b(?:kpod_|process_|scrape_)\w+|\bup\b/g) ?? []);
}

/** Values of variables by their names, as they are put into expressions. */
export type Values = Readonly<Record<string, string>>;

const VARIABLE = /\$\{(\w+)[^}]*\}|\$(\w+)/g;

/** Names of the variables in a text. */
export function variablesIn(text: string): string[] {
  return [...text.matchAll(VARIABLE)].map(([, braced, plain]) => braced ?? plain ?? "");
}

export function interpolate(text: string, values: Values): string {
  return text.replaceAll(VARIABLE, (_, braced?: string, plain?: string) => {
    const name = braced ?? plain ?? "";
    const value = values[name];
    if (value === undefined) throw new Error(`Cannot interpolate ${text}: got no value of ${name}`);
    return value;
  });
}

/** The parts of `label_values(selector, label)`, which is what every variable asks. */
export function labelValues(query: string): { selector: string; label: string } {
  const [, selector, label] = /^label_values\((.+), (\w+)\)$/.exec(query) ?? [];
  if (selector === undefined || label === undefined) {
    throw new Error(`Cannot read label_values: got ${query}`);
  }
  return { selector, label };
}

/** What a variable of the type `query` asks. */
export function queryOf({ query }: Variable): string {
  return typeof query === "object" ? String(query["query"]) : query ?? "";
}

/** Asks for the values that a variable offers, as Grafana does; `url` is Prometheus'. */
export async function offeredValues(url: string, query: string): Promise<string[]> {
  const { selector, label } = labelValues(query);
  const parameters = new URLSearchParams({ "match[]": selector });
  const response = await fetch(`${url}/api/v1/label/${label}/values?${parameters}`);
  const { data, error } = await response.json();
  if (data === undefined) throw new Error(`Cannot get the values of ${query}: got ${error}`);
  return data;
}

/** Every choice that the variables offer one after the other; all values at once where several may be chosen. */
export async function* choices(
  url: string,
  variables: readonly Variable[],
  given: Values,
): AsyncGenerator<Values> {
  const [variable, ...more] = variables;
  if (variable === undefined) return yield given;
  if (variable.type === "datasource") return yield* choices(url, more, given);
  const values = variable.multi
    ? [variable.allValue ?? ""]
    : await offeredValues(url, interpolate(queryOf(variable), given));
  for (const value of values) yield* choices(url, more, { ...given, [variable.name]: value });
}
