/** The agent's permissions are enough for it, and for nothing else. */
import assert from "node:assert/strict";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import settings from "../../deno.json" with { type: "json" };
import { AgentProcess, command } from "./agent.ts";

const ALLOWED = ["see one of its own variables", "read its packages"];

Deno.test("the agent needs no more than its permission set", needsPrograms, async () => {
  await using node = await LabNode.start();
  await node.addPod({ name: "web" });
  await using agent = await AgentProcess.ready({
    ...node.agentEnvironment(),
    KPOD_PROFILE: "comprehensive",
  });
  const scrape = await agent.fresh();
  assert.equal(scrape.find("kpod_bpf_program_info", { state: "unavailable" }).length, 0);
  assert.ok(scrape.find("kpod_collector_up").every(({ value }) => value === 1));
  assert.doesNotMatch(agent.log, /NotCapable|[Rr]equires .* access/);
});

Deno.test("the agent's permission set allows what the agent does and nothing beside", async () => {
  const { stdout, stderr } = await command({ KPOD_PROFILE: "minimal" }, ["tests/agent/probe.ts"]).output();
  const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.notEqual(text, "", errors);
  const results = Object.entries(JSON.parse(text ?? ""));
  assert.ok(results.length > ALLOWED.length);
  for (const [name, result] of results) {
    assert.equal(result, ALLOWED.includes(name) ? "allowed" : "refused", name);
  }
});

Deno.test("the agent's permission set names files, addresses and variables, and never all of a kind", () => {
  const { agent } = settings.permissions;
  assert.deepEqual(Object.keys(agent).sort(), ["env", "ffi", "net", "read"]);
  for (const [kind, names] of Object.entries(agent)) {
    assert.ok(Array.isArray(names) && names.length > 0, kind);
    for (const name of names) assert.doesNotMatch(name, /^(?:\*|\/|\.?)$/, `${kind}: ${name}`);
  }
});
