/** What the cluster test makes of kubectl's answers. */
import assert from "node:assert/strict";
import {
  agentPods,
  doctorProblems,
  logProblems,
  permissionProblems,
  podProblems,
  versionProblems,
} from "./checks.ts";

Deno.test("the cluster's version has to be one that the manifests are for", () => {
  const version = (major: string, minor: string) =>
    JSON.stringify({ clientVersion: {}, serverVersion: { major, minor } });
  for (const [major, minor] of [["1", "33"], ["1", "34+"], ["1", "40"]] as const) {
    assert.deepEqual(versionProblems(version(major, minor)), [], minor);
  }
  for (const [major, minor] of [["1", "32"], ["1", "9+"], ["2", "40"]] as const) {
    assert.match(versionProblems(version(major, minor))[0] ?? "", /manifests\/ are for 1\.33 and later/);
  }
  assert.match(versionProblems("{}")[0] ?? "", /has no answer/);
});

/** An agent's pod as the API has it. */
function pod(name: string, nodeName: string, { ready = true, restarts = 0, initRestarts = 0 } = {}) {
  return {
    metadata: { name },
    spec: { nodeName },
    status: {
      conditions: [{ type: "Initialized", status: "True" }, {
        type: "Ready",
        status: ready ? "True" : "False",
      }],
      initContainerStatuses: [{ name: "certificate", restartCount: initRestarts }],
      containerStatuses: [{ name: "kpod-metrics", restartCount: restarts }],
    },
  };
}

const list = (items: readonly unknown[]) => JSON.stringify({ items });
const NODES = list([{ metadata: { name: "one" } }, { metadata: { name: "two" } }]);

Deno.test("each node has to have one agent, ready and never restarted", () => {
  const good = list([pod("a", "one"), pod("b", "two")]);
  assert.deepEqual(podProblems(good, NODES), []);
  assert.deepEqual(agentPods(good), [{ name: "a", node: "one" }, { name: "b", node: "two" }]);
  for (
    const [pods, problems] of [
      [[], ["node one has 0 agents, not one", "node two has 0 agents, not one"]],
      [[pod("a", "one"), pod("b", "one")], [
        "node one has 2 agents, not one",
        "node two has 0 agents, not one",
      ]],
      [[pod("a", "one", { ready: false }), pod("b", "two")], ["pod a is not ready"]],
      [[pod("a", "one"), { ...pod("b", "two"), status: {} }], ["pod b is not ready"]],
      [[pod("a", "one", { restarts: 2 }), pod("b", "two", { initRestarts: 1 })], [
        "container kpod-metrics of pod a was restarted 2 times",
        "container certificate of pod b was restarted 1 times",
      ]],
    ] as const
  ) assert.deepEqual(podProblems(list(pods), NODES), problems);
  assert.deepEqual(podProblems(list([]), list([])), ["the cluster has no nodes"]);
});

/** As kubectl 1.33 prints it. */
const PERMISSIONS = `\
Resources                                       Non-Resource URLs                      Resource Names   Verbs
selfsubjectreviews.authentication.k8s.io        []                                     []               [create]
selfsubjectaccessreviews.authorization.k8s.io   []                                     []               [create]
selfsubjectrulesreviews.authorization.k8s.io    []                                     []               [create]
nodes/pods                                      []                                     []               [get]
                                                [/.well-known/openid-configuration/]   []               [get]
                                                [/healthz]                             []               [get]
`;

Deno.test("an agent may get nodes/pods, and nothing that not everybody may", () => {
  assert.deepEqual(permissionProblems(PERMISSIONS), []);
  const row = (resource: string, verbs: string) =>
    PERMISSIONS.replace(/^nodes\/pods +/m, (cell) => resource.padEnd(cell.length)).replace(
      /(\s)\[get\]$/m,
      `$1${verbs}`,
    );
  assert.deepEqual(permissionProblems(row("nodes/proxy", "[get]")), [
    "the agent may not get nodes/pods",
    "the agent may [get] nodes/proxy",
  ]);
  assert.deepEqual(permissionProblems(row("nodes/pods", "[get list]")), [
    "the agent may not get nodes/pods",
    "the agent may [get list] nodes/pods",
  ]);
  const more = PERMISSIONS.replace("nodes/pods", "secrets   ") + PERMISSIONS.split("\n")[4];
  assert.deepEqual(permissionProblems(more), ["the agent may [get] secrets"]);
  assert.match(permissionProblems("error: forbidden")[0] ?? "", /no table of permissions: error: forbidden/);
});

Deno.test("only what an agent logs as info or debug passes", () => {
  const line = (level: string) => JSON.stringify({ time: "", level, message: "hello" });
  assert.deepEqual(logProblems(`${line("info")}\n${line("debug")}\n\n`), []);
  for (const bad of [line("warn"), line("error"), "error: Uncaught TypeError", "{}"]) {
    assert.deepEqual(logProblems(`${line("info")}\n${bad}\n`), [`log: ${bad}`]);
  }
});

Deno.test("the preflight has to find nothing wrong, and to have seen a good certificate", () => {
  const finding = (check: string, status: string) => ({ check, status, found: "this", advice: "do that" });
  const good = [finding("kubelet certificate", "ok"), finding("listen address", "warn")];
  assert.deepEqual(doctorProblems(JSON.stringify(good)), []);
  assert.deepEqual(doctorProblems(JSON.stringify(good.slice(1))), [
    "doctor: has not looked at the kubelet's certificate",
  ]);
  for (const status of ["warn", "fail"]) {
    for (const check of ["kubelet certificate", "signals"]) {
      assert.deepEqual(
        doctorProblems(JSON.stringify([...good, finding(check, status)])).at(-1),
        `doctor: ${status} ${check}: this; do that`,
      );
    }
  }
});
