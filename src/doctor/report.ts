/** Findings as text for a terminal and as JSON, and the exit code they lead to. */
import type { Finding } from "./finding.ts";

/** Returns a line for each finding, and a second one, indented, for what to do about it. */
export function renderText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  return findings.flatMap(({ check, status, found, advice }) => [
    `${status.padEnd(4)}  ${check.padEnd(width)}  ${oneLine(found)}`,
    ...(advice === "" ? [] : [`      ${oneLine(advice)}`]),
  ]).join("\n");
}

/** Returns an array of `{check, status, found, advice}`, one element a line. */
export function renderJson(findings: readonly Finding[]): string {
  const lines = findings.map(({ check, status, found, advice }) =>
    `  ${JSON.stringify({ check, status, found, advice })}`
  );
  return `[\n${lines.join(",\n")}\n]`;
}

/** 1 if the agent could not work, else 0. */
export function exitCode(findings: readonly Finding[]): number {
  return findings.some(({ status }) => status === "fail") ? 1 : 0;
}

/** What servers and certificates say is shown to a terminal, which must not take any of it for commands. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\s]+/gu, " ");
}
