/** What can be wrong with the settings, in words for the operator: one line for each variable and problem. */

import type { z } from "zod";
import { type Given, kubeletUrl, type VariableName, VARIABLES, variables } from "./config_variables.ts";
import { nearest } from "./nearest.ts";
import { PROFILE_NAMES } from "./profiles.ts";

/** A longer value is cut in messages. */
const LONGEST_QUOTE = 100;

/** What speaks only of TLS. */
const TLS_VARIABLES = [
  "KPOD_KUBELET_TOKEN_FILE",
  "KPOD_KUBELET_CA_FILE",
  "KPOD_KUBELET_SERVER_NAME",
  "KPOD_KUBELET_CERT_FILE",
  "KPOD_KUBELET_KEY_FILE",
] as const satisfies readonly VariableName[];

/** Variables that begin like the agent's and are not; mostly slips of the pen. */
export function unknownVariables(set: ReadonlyMap<string, string>): string[] {
  const known = Object.keys(VARIABLES);
  return [...set].flatMap(([name, text]) => {
    if (!name.startsWith("KPOD_") || known.includes(name) || isServiceLink(name, text)) return [];
    return [`${name}: no such variable${didYouMean([nearest(name, known)])}`];
  });
}

/**
 * Kubernetes sets such variables in every container for each Service of its namespace: one called `kpod-metrics`
 * makes `KPOD_METRICS_SERVICE_HOST` and more (pkg/kubelet/envvars/envvars.go).
 */
function isServiceLink(name: string, text: string): boolean {
  return /_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name) ||
    name.endsWith("_PORT") && /^(tcp|udp|sctp):\/\//.test(text);
}

/** Variables that could not be read: what each got, and what it takes. `texts` are all that were to be read. */
export function fieldProblems(
  issues: readonly z.core.$ZodIssue[],
  texts: ReadonlyMap<VariableName, string | undefined>,
): string[] {
  return variables().flatMap(([name, { field }]) => {
    const own = issues.filter(({ path }) => path[0] === name);
    if (own.length === 0) return [];
    // Only of lists is a part known to be at fault, and then the issue's input is that word.
    const got = own.map(({ input }) => quote(typeof input === "string" ? input : texts.get(name) ?? ""));
    const hints = own.map((issue) => issue.code === "custom" ? issue.params ?? {} : {});
    const details = hints.flatMap(({ problem }) => problem === undefined ? [] : [`; ${problem}`]).join("");
    const meant = didYouMean(hints.map((hint) => hint["meant"]));
    return [`${name}: got ${got.join(", ")}, takes ${field.description}${details}${meant}`];
  });
}

/** Variables that are right by themselves and wrong together. */
export function contradictions(given: Given): string[] {
  return [...collectorProblems(given), ...kubeletProblems(given)];
}

function collectorProblems({ KPOD_PROFILE: profile, KPOD_COLLECTORS: collectors }: Given): string[] {
  if (profile === "custom" && collectors === undefined) {
    const takes = VARIABLES.KPOD_COLLECTORS.field.description;
    return [`KPOD_COLLECTORS: not set, with KPOD_PROFILE=custom takes ${takes}`];
  }
  const isNamedProfile = profile === undefined ||
    profile !== "custom" && PROFILE_NAMES.some((name) => name === profile);
  if (isNamedProfile && collectors !== undefined) {
    const got = quote(collectors);
    return [
      `KPOD_COLLECTORS: got ${got}, takes effect with KPOD_PROFILE=custom only; set that, or unset this`,
    ];
  }
  return [];
}

function kubeletProblems(given: Given): string[] {
  const { NODE_IP, KPOD_KUBELET_URL, KPOD_KUBELET_CERT_FILE: certFile, KPOD_KUBELET_KEY_FILE: keyFile } =
    given;
  const problems: string[] = [];
  if (KPOD_KUBELET_URL === undefined && NODE_IP === undefined) {
    problems.push(
      "KPOD_KUBELET_URL: not set, and no NODE_IP to make it from; " +
        "set NODE_IP by the downward API (status.hostIP), or KPOD_KUBELET_URL",
    );
  }
  if ((certFile === undefined) !== (keyFile === undefined)) {
    const [set, missing] = keyFile === undefined ? ["CERT", "KEY"] : ["KEY", "CERT"];
    problems.push(
      `KPOD_KUBELET_${set}_FILE: got ${quote(certFile ?? keyFile ?? "")} alone, ` +
        `takes effect with KPOD_KUBELET_${missing}_FILE only; set both or neither`,
    );
  }
  if (kubeletUrl(given)?.protocol === "http:") {
    for (const name of TLS_VARIABLES) {
      const text = given[name];
      if (text === undefined) continue;
      problems.push(
        `${name}: got ${quote(text)}, takes effect with an https:// KPOD_KUBELET_URL only; unset it`,
      );
    }
  }
  return problems;
}

function didYouMean(names: readonly (string | undefined)[]): string {
  const known = names.filter((name) => name !== undefined);
  return known.length === 0 ? "" : `; did you mean ${known.join(", ")}?`;
}

function quote(text: string): string {
  return JSON.stringify(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text);
}
