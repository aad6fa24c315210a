/** Which representation of the metrics an HTTP client asked for (RFC 9110, section 12.5). */

import type { ExpositionFormat } from "./metrics/registry.ts";

/** One member of an Accept or Accept-Encoding header. */
interface Preference {
  /** Media range or content coding, in lower case. */
  readonly name: string;
  readonly version: string | undefined;
  /** Weight from 0 (not acceptable) to 1. */
  readonly q: number;
}

/**
 * Returns the format for an Accept header such as Prometheus sends:
 * `application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*\/*;q=0.1`.
 * OpenMetrics has to be named and weigh at least as much as text/plain; whoever accepts neither gets the
 * text format all the same, as a scraper can do more with that than with 406.
 */
export function chooseFormat(accept: string | null): ExpositionFormat {
  const preferences = parsePreferences(accept ?? "");
  const openMetrics = weight(preferences, [
    { name: "application/openmetrics-text", version: "1.0.0" },
    { name: "application/openmetrics-text" },
  ]);
  const text = weight(preferences, [
    { name: "text/plain", version: "0.0.4" },
    { name: "text/plain" },
    { name: "text/*" },
    { name: "*/*" },
  ]);
  return openMetrics > 0 && openMetrics >= text ? "openmetrics" : "prometheus";
}

/** Returns whether an Accept-Encoding header allows gzip. */
export function acceptsGzip(acceptEncoding: string | null): boolean {
  return weight(parsePreferences(acceptEncoding ?? ""), [{ name: "gzip" }, { name: "*" }]) > 0;
}

/** Weight of the first pattern, given most specific first, that the header names; 0 where it names none. */
function weight(
  preferences: readonly Preference[],
  patterns: readonly { readonly name: string; readonly version?: string }[],
): number {
  for (const { name, version } of patterns) {
    const found = preferences.find((preference) =>
      preference.name === name && preference.version === version
    );
    if (found) return found.q;
  }
  return 0;
}

function parsePreferences(header: string): Preference[] {
  return header.split(",").map((member) => {
    const [name = "", ...parameters] = member.toLowerCase().split(";").map((part) => part.trim());
    const values = new Map(parameters.map((parameter) => {
      const [key = "", value = ""] = parameter.split("=").map((part) => part.trim());
      return [key, value.replace(/^"(.*)"$/, "$1")];
    }));
    const q = Number(values.get("q") ?? 1);
    return { name, version: values.get("version"), q: q >= 0 && q <= 1 ? q : 0 };
  });
}
