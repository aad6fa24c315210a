/** Runs of the preflight, against a lab node. */
import assert from "node:assert/strict";
import type { Finding } from "../../src/doctor/finding.ts";
import { LabNode } from "../lab/node.ts";
import { type Labels, runAgent } from "./agent.ts";

/** Settings beside the node's own: whatever there is to check is checked. */
export const NODE = { KPOD_LISTEN_ADDRESS: "127.0.0.1:0", KPOD_PROFILE: "comprehensive" };

/** A node with two pods, three containers of which are running and one is not. */
export async function startNode(): Promise<LabNode> {
  const node = await LabNode.start();
  await node.addPod({ name: "web", qosClass: "Burstable", containers: ["main", "side"] });
  await node.addPod({
    name: "db",
    qosClass: "Guaranteed",
    containers: ["main", { name: "late", waiting: "ImagePullBackOff" }],
  });
  return node;
}

/** Runs the preflight; its findings by check. */
export async function doctor(settings: Labels): Promise<{ code: number; findings: Map<string, Finding> }> {
  const { code, log, output } = await runAgent({ ...NODE, ...settings }, { args: ["doctor", "--json"] });
  assert.doesNotMatch(log, /kpod-metrics:|NotCapable|^\s+at /m);
  return { code, findings: parsed(output) };
}

/** The findings in JSON, by check. */
export function parsed(output: string): Map<string, Finding> {
  const findings = JSON.parse(output) as Finding[];
  return new Map(findings.map((finding) => [finding.check, finding]));
}

/** The checks that failed. */
export function failed(findings: ReadonlyMap<string, Finding>): string[] {
  return [...findings.values()].filter(({ status }) => status === "fail").map(({ check }) => check);
}
