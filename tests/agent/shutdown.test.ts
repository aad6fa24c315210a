/** How the agent ends: when it is told to, and when it cannot begin. */
import assert from "node:assert/strict";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import { AgentProcess, type Ended, eventually, NO_TIMER, ROOT, runAgent } from "./agent.ts";
import { isLoaded, programsOf } from "./loaded_programs.ts";

/** What a stop may take: the server's grace of two seconds for running requests, and some for a busy machine. */
const STOP_LIMIT_MS = 5_000;

/** Settings good enough to begin with: neither kubelet nor cgroups have to be there. */
const ALONE = {
  NODE_NAME: "alone",
  KPOD_KUBELET_URL: "http://127.0.0.1:1",
  KPOD_LISTEN_ADDRESS: "127.0.0.1:0",
};

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} ends the agent, its programs and its port`, needsPrograms, async () => {
    await using node = await LabNode.start();
    await node.addPod({ name: "web" });
    await using agent = await AgentProcess.ready({
      ...node.agentEnvironment(),
      KPOD_PROFILE: "comprehensive",
    });
    const programs = programsOf(agent.pid);
    assert.ok(programs.length >= 11, `${programs.length} programs`);
    assert.ok(programs.every(isLoaded));
    assertStopped(await stop(agent, signal));
    // The kernel frees them when all CPUs are done with them, a moment after the last descriptor is closed.
    await eventually("they are gone", () => !programs.some(isLoaded) || `${programs.filter(isLoaded)}`);
    Deno.listen({ hostname: "127.0.0.1", port: Number(new URL(agent.url).port) }).close();
  });
}

Deno.test("a stop lets running scrapes finish", needsPrograms, async () => {
  await using node = await LabNode.start();
  await node.addPod({ name: "web" });
  await using agent = await AgentProcess.ready({ ...node.agentEnvironment(), ...NO_TIMER });
  let answers = 0;
  const scrapeOn = async () => {
    for (;;) {
      const response = await fetch(`${agent.url}/metrics`).catch(() => undefined);
      // The port is closed. An answer that has begun must end well.
      if (response === undefined) return;
      assert.equal(response.status, 200);
      assert.match(await response.text(), /^process_start_time_seconds \d/m);
      answers++;
    }
  };
  const scrapes = Array.from({ length: 8 }, scrapeOn);
  await eventually("scrapes are answered", () => answers > 100 || `${answers}`);
  assertStopped(await stop(agent, "SIGTERM"));
  await Promise.all(scrapes);
});

Deno.test(
  "neither a client that never asks nor a kubelet that never answers holds up a stop",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    await node.addPod({ name: "web" });
    node.kubelet.answer = { kind: "hang" };
    await using agent = await AgentProcess.start({
      ...node.agentEnvironment(),
      KPOD_KUBELET_TIMEOUT_MS: "60000",
    });
    const { hostname, port } = new URL(agent.url);
    using idle = await Deno.connect({ hostname, port: Number(port) });
    using asking = await Deno.connect({ hostname, port: Number(port) });
    await asking.write(new TextEncoder().encode("GET /metrics HTTP/1.1\r\nHost: agent\r\n"));
    await agent.until("it has polled", () => node.kubelet.requests > 0);
    assertStopped(await stop(agent, "SIGTERM"));
    assert.equal(await idle.read(new Uint8Array(1)), null);
  },
);

Deno.test("a port in use ends the agent with code 1 and says what to do", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${taken.addr.port}`;
  const { code, log } = await runAgent({ ...ALONE, KPOD_LISTEN_ADDRESS: address });
  assert.equal(code, 1);
  assertSays(log, [
    `kpod-metrics: Cannot listen on ${address}: address already in use; set KPOD_LISTEN_ADDRESS`,
  ]);
});

Deno.test("bad settings end the agent with code 2, all of them told at once", async () => {
  const { code, log } = await runAgent({
    ...ALONE,
    KPOD_PROFILE: "maximal",
    KPOD_POLL_INTERVAL_MS: "soon",
    KPOD_KUBELET_URL: "kubelet",
    KPOD_NAMESPACE: "default",
  });
  assert.equal(code, 2);
  assertSays(log, [
    "kpod-metrics: Cannot use these settings:",
    "KPOD_PROFILE",
    '"maximal"',
    "KPOD_POLL_INTERVAL_MS",
    '"soon"',
    "KPOD_KUBELET_URL",
    "KPOD_NAMESPACE",
  ]);
});

Deno.test("an unknown flag ends the agent with code 2 and points to the help", async () => {
  const { code, log } = await runAgent(ALONE, { args: ["--verbose"] });
  assert.equal(code, 2);
  assertSays(log, ["--verbose", "--help"]);
});

Deno.test("help and version need no settings and go to standard output", async () => {
  const help = await runAgent({ KPOD_PROFILE: "maximal" }, { args: ["--help"] });
  assert.equal(help.code, 0);
  assert.match(help.output, /KPOD_PROFILE/);
  const version = await runAgent({}, { args: ["--version"] });
  assert.equal(version.code, 0);
  assert.match(version.output, /^kpod-metrics \d+\.\d+\.\d+\n$/);
});

Deno.test(
  "without the eBPF objects the agent serves the rest and says why each signal is missing",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    await node.addPod({ name: "web" });
    await using agent = await AgentProcess.ready({
      ...node.agentEnvironment(),
      KPOD_PROFILE: "comprehensive",
      KPOD_BPF_PROGRAM_DIR: "/nonexistent",
    });
    const scrape = await agent.fresh();
    const programs = scrape.find("kpod_bpf_program_info");
    assert.ok(programs.length >= 11);
    for (const { labels } of programs) {
      const { state, reason } = Object.fromEntries(labels);
      assert.equal(state, "unavailable");
      assert.match(reason ?? "", /\/nonexistent\/\w+\.bpf\.o|deno task build/);
    }
    // Absent is not zero.
    assert.equal(
      scrape.series.filter(({ name }) =>
        /^kpod_(?:cpu_(?:runqueue|context)|net_tcp|mem_(?:oom|major)|syscall)_/.test(name)
      ).length,
      0,
    );
    const { log } = await stop(agent, "SIGTERM");
    assertSays(log, ["signal is not available", '"signal":"tcp_rtt"']);
  },
);

Deno.test("without the native library the agent ends with code 1 and says how to build it", async () => {
  const tree = await Deno.makeTempDir({ prefix: "kpod-agent-" });
  try {
    for (const name of ["deno.json", "deno.lock", "mod.ts", "src", "node_modules"]) {
      const { success } = await new Deno.Command("cp", { args: ["-a", `${ROOT}/${name}`, `${tree}/${name}`] })
        .output();
      assert.ok(success, name);
    }
    const { code, log } = await runAgent(ALONE, { tree });
    assert.equal(code, 1);
    assertSays(log, [
      `Cannot open the native library ${tree}/native/build/libkpod.so`,
      "run `deno task build`",
    ]);
  } finally {
    await Deno.remove(tree, { recursive: true });
  }
});

async function stop(agent: AgentProcess, signal: "SIGTERM" | "SIGINT"): Promise<Ended & { ms: number }> {
  const began = performance.now();
  return { ...await agent.stop(signal), ms: performance.now() - began };
}

function assertStopped({ code, log, ms }: Ended & { ms: number }): void {
  assert.equal(code, 0, log);
  assert.ok(ms < STOP_LIMIT_MS, `it took ${ms} ms`);
  assert.match(log, /"message":"stopped"\}\n$/);
  assertSays(log, []);
}

function assertSays(log: string, expected: readonly string[]): void {
  for (const text of expected) assert.ok(log.includes(text), `no ${text} in:\n${log}`);
  assert.doesNotMatch(log, /^\s+at /m, "a stack trace is no message");
}
