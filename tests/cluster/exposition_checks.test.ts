/** What the cluster test makes of what agents serve. */
import assert from "node:assert/strict";
import { COLLECTORS, PROFILES } from "../../src/profiles.ts";
import { AgentProcess, SHORT_INTERVALS } from "../agent/agent.ts";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import { expectedFamilies, expositionProblems, unmovedProblems } from "./exposition_checks.ts";
import { exposition } from "./fake_exposition.ts";

const STANDARD = PROFILES.standard;
const good = () => ["one", "two"].map((node) => ({ node, text: exposition(node, STANDARD) }));

/** The problems that there are when one agent's text is changed. */
function after(change: (text: string) => string): string[] {
  const [one, two] = good();
  assert.ok(one && two);
  const text = change(one.text);
  assert.notEqual(text, one.text, "nothing was changed");
  return expositionProblems([{ ...one, text }, two], STANDARD);
}

Deno.test("agents that serve everything, each of its own node, have no problem", () => {
  assert.deepEqual(expositionProblems(good(), STANDARD), []);
});

Deno.test("a profile's families are its collectors' and the agent's own", () => {
  const standard = new Set(expectedFamilies(STANDARD));
  const comprehensive = new Set(expectedFamilies(PROFILES.comprehensive));
  assert.ok(standard.has("kpod_net_tcp_rtt_seconds") && standard.has("kpod_collector_up"));
  assert.deepEqual(
    comprehensive.difference(standard),
    new Set(
      ["kpod_syscall_count_total", "kpod_syscall_errors_total", "kpod_syscall_latency_seconds"],
    ),
  );
});

Deno.test("each family that no agent has is missed, and one that only one has is not", () => {
  for (const family of expectedFamilies(STANDARD)) {
    if (family === "kpod_collector_up" || family === "kpod_discovery_pods") continue;
    const without = (text: string) =>
      text.split("\n").filter((line) => !RegExp(`^${family}(?:_sum|_count|_bucket)?\\{?`).test(line)).join(
        "\n",
      );
    const all = good().map(({ node, text }) => ({ node, text: without(text) }));
    const missing = expositionProblems(all, STANDARD);
    assert.ok(missing.includes(`no agent has a series of ${family}`), `${family}: ${missing}`);
    assert.deepEqual(after(without), [], family);
  }
});

Deno.test("what is wrong with one agent is told with its node", () => {
  for (
    const [change, problem] of [
      [
        (text: string) => text.replace(/(collector_up\{collector="tcp"\}) 1/, "$1 0"),
        "collector tcp is not up",
      ],
      [
        (text: string) => text.replace(/^kpod_collector_up\{collector="tcp"\}.*\n/m, ""),
        "collector tcp is not up",
      ],
      [
        (text: string) => `${text}kpod_collector_up{collector="syscall"} 1\n`,
        "collector syscall runs, which it should not",
      ],
      [
        (text: string) =>
          text.replace('state="attached",reason="some"', 'state="unavailable",reason="no hook"'),
        "signal some is unavailable: no hook",
      ],
      [
        (text: string) => text.replace(/(update_errors_total\{map="some"\}) 0/, "$1 3"),
        "map some refused 3 updates",
      ],
      [
        (text: string) => text.replace(/(kpod_discovery_pods\S*) 1/, "$1 0"),
        "the kubelet has told it of no pods",
      ],
      [
        (text: string) => text.replace(/(kpod_unattributed_cgroups\S*) 0/, "$1 2"),
        "2 cgroups are of pods it does not know",
      ],
      [
        (text: string) => text.replace(/(kpod_pids_current.*)node="one"/, '$1node="three"'),
        "it has series of node three",
      ],
    ] as const
  ) assert.deepEqual(after(change), [`agent on one: ${problem}`]);
});

Deno.test("a kernel that is too old for all signals is not blamed for the one it lacks", () => {
  const unavailable = (text: string) => text.replace('state="attached"', 'state="unavailable"');
  assert.equal(after(unavailable).length, 1);
  for (const [kernel, count] of [["6.1.0-44-amd64", 0], ["6.8.0-1021-azure", 1]] as const) {
    const problems = after((text) => unavailable(text).replace('kernel="6.12.1"', `kernel="${kernel}"`));
    assert.equal(problems.length, count, kernel);
  }
});

Deno.test("agents that count one another's pods are found", () => {
  const both = ["one", "two"].map((node) => ({ node, text: exposition(node, STANDARD, "shared") }));
  assert.deepEqual(expositionProblems(both, STANDARD), [
    "the agents on one and two both have series of kpod-stress/shared",
  ]);
  assert.deepEqual(expositionProblems([], []).slice(0, 1), ["no agent has answered"]);
});

Deno.test("a metric that no pod of the stress workload moves is found", () => {
  const metrics = ["kpod_mem_oom_kills_total", "kpod_net_tcp_rtt_seconds"];
  assert.deepEqual(unmovedProblems(good(), "kpod-stress", metrics), []);
  assert.equal(unmovedProblems(good(), "elsewhere", metrics).length, 2);
  const still = good().map(({ node, text }) => ({
    node,
    text: text.replace(/^(kpod_mem_oom_kills_total.*) 1$/m, "$1 0"),
  }));
  assert.deepEqual(unmovedProblems(still, "kpod-stress", metrics), [
    "kpod_mem_oom_kills_total of all pods in kpod-stress is 0",
  ]);
});

Deno.test("a real agent, over pods that do something, has no problem", needsPrograms, async () => {
  await using node = await LabNode.start();
  const [web, other] = [
    await node.addPod({ name: "web", namespace: "kpod-stress", ownNetwork: true }),
    await node.addPod({ name: "other", ownNetwork: true }),
  ];
  await node.link(web, other);
  const container = web.container();
  const settings = { ...node.agentEnvironment(), ...SHORT_INTERVALS, KPOD_HISTOGRAM_RESOLUTION: "coarse" };
  // What every cgroup v2 hierarchy has, a hybrid host's without controllers as well.
  const collectors = COLLECTORS.filter((name) => !["disk", "cpu", "memory", "pids"].includes(name));
  const custom = { KPOD_PROFILE: "custom", KPOD_COLLECTORS: collectors.join() };
  await using agent = await AgentProcess.ready({ ...settings, ...custom });
  await using server = await node.run(container, ["tcp-server", "127.0.0.1", "0", "--mode", "echo"]);
  await using client = await node.run(container, ["tcp-client", "127.0.0.1", String(server.port)]);
  await client.send("rr 10 1000");
  const { text } = await agent.until(
    "the load is counted",
    (scrape) => scrape.sum("kpod_syscall_count_total") > 0,
  );
  const served = [{ node: node.name, text }];
  assert.deepEqual(expositionProblems(served, collectors), []);
  const moved = ["kpod_net_tcp_bytes_sent_total", "kpod_net_tcp_rtt_seconds", "kpod_syscall_count_total"];
  assert.deepEqual(unmovedProblems(served, "kpod-stress", moved), []);
  assert.deepEqual(unmovedProblems(served, "kpod-stress", ["kpod_mem_oom_kills_total"]).length, 1);
});
