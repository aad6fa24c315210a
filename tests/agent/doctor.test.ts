/** The preflight on this machine: what it prints is true here. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { COLLECTORS, PROFILES } from "../../src/profiles.ts";
import { needsPrograms } from "../kernel/requirements.ts";
import type { LabNode } from "../lab/node.ts";
import { AgentProcess, NO_TIMER, runAgent } from "./agent.ts";
import { doctor, failed, NODE, startNode } from "./doctor.ts";

const COLLECTORS_OF_NODE: readonly string[] = PROFILES.comprehensive;
const read = (path: string) => Deno.readTextFileSync(path);

Deno.test("what the preflight says of this machine is true", needsPrograms, async () => {
  await using node = await startNode();
  const { code, findings } = await doctor(node.agentEnvironment());
  const found = (check: string) => findings.get(check)?.found ?? `no check ${check}`;
  assert.deepEqual([code, failed(findings)], [0, []]);

  const uname = new Deno.Command("uname", { args: ["-r"] }).outputSync();
  assert.equal(found("kernel"), new TextDecoder().decode(uname.stdout).trim());
  const { size } = Deno.statSync("/sys/kernel/btf/vmlinux");
  assert.equal(found("BTF"), `/sys/kernel/btf/vmlinux, ${(size / 1e6).toFixed(1)} MB`);
  assert.equal(found("capabilities"), capabilitiesHere());
  const statistics = read("/proc/sys/kernel/bpf_stats_enabled").trim() === "1" ? /^on/ : /^off/;
  assert.match(found("eBPF statistics"), statistics);
  assert.match(
    found("open files"),
    new RegExp(`^at most ${softLimit("Max open files")} open files; 5 containers`),
  );

  const kubepods = `${node.root}/kubepods.slice`;
  assert.equal(found("cgroup v2").split(",")[0], node.root);
  const v1 = read("/proc/self/mountinfo").split("\n").some((line) => / - cgroup /.test(line));
  assert.equal(/beside version 1/.test(found("cgroup v2")), v1);
  assert.equal(found("kubepods"), `${kubepods}, driver systemd: 2 pods, 5 containers with sandboxes`);
  const controllers = read(`${kubepods}/cgroup.controllers`).trim().split(" ").filter(Boolean);
  assert.ok(found("controllers").startsWith(`${controllers.join(", ") || "none"} at ${kubepods}`));
  const needed = { io: "disk", cpu: "cpu", memory: "memory", pids: "pids" };
  for (const [controller, collector] of Object.entries(needed)) {
    const isMissing = !controllers.includes(controller) && COLLECTORS_OF_NODE.includes(collector);
    const { status, advice } = findings.get("controllers") ?? {};
    assert.equal(
      new RegExp(` of ${collector}(;|$)`).test(advice ?? ""),
      isMissing,
      `${controller}: ${advice}`,
    );
    if (isMissing) assert.equal(status, "warn");
  }
  const hasPressure = exists(`${kubepods}/cpu.pressure`) && exists("/proc/pressure/cpu");
  assert.equal(findings.get("pressure")?.status, hasPressure ? "ok" : "warn");
  const seen = /^seen in \/proc: process (\d+) is/.exec(found("host processes"))?.[1];
  assert.ok(read(`/proc/${seen}/cgroup`).includes("/kubepods.slice/"), found("host processes"));

  assert.equal(found("kubelet"), `${node.kubelet.url} answers`);
  assert.equal(found("kubelet authorization"), "may list pods: 2 listed");
  assert.match(
    found("pods and cgroups"),
    /^2 of 2 listed .* of 5 containers' cgroups 3 have a name, 2 are sandboxes, 0 are of unlisted/,
  );
  assert.match(found("kubelet certificate"), /^for DNS:lab-node, signed by lab-node-ca@\d+, /);
  assert.ok(found("kubelet certificate").includes(`to ${await endOfCertificate(node)} UTC; fits lab-node`));
  assert.match(found("map capacity"), /^5 containers with sandboxes, room for 1024$/);
});

Deno.test("every wanted signal is told once, with a hook that this kernel has", needsPrograms, async () => {
  await using node = await startNode();
  const { findings } = await doctor(node.agentEnvironment());
  const { findings: few } = await doctor({ ...node.agentEnvironment(), KPOD_PROFILE: "minimal" });
  const signals = (all: typeof findings) =>
    [...all.values()].filter(({ check }) => check.startsWith("signal "));
  assert.ok(
    signals(findings).length >= COLLECTORS.filter((name) => /sched|tcp|oom|faults|syscall/.test(name)).length,
  );
  assert.deepEqual(signals(few).map(({ check }) => check), ["signal cpu_sched", "signal oom"]);
  // A kernel has kprobes if and only if perf has a source of that name.
  const hooks = exists("/sys/bus/event_source/devices/kprobe")
    ? /\(\w+\) attached$/
    : /\((tp_btf|perf_event)\) attached$/;
  for (const { found } of signals(findings)) assert.match(found, hooks);
});

Deno.test("the preflight runs beside an agent, which goes on as before", needsPrograms, async () => {
  await using node = await startNode();
  await using agent = await AgentProcess.ready({ ...node.agentEnvironment(), ...NO_TIMER });
  const { code, findings } = await doctor({
    ...node.agentEnvironment(),
    KPOD_LISTEN_ADDRESS: new URL(agent.url).host,
  });
  assert.equal(code, 0);
  assert.equal(findings.get("listen address")?.status, "warn");
  assert.match(findings.get("listen address")?.found ?? "", /taken by an agent that runs already$/);
  const after = await agent.fresh();
  assert.equal(after.find("kpod_bpf_program_info", { state: "unavailable" }).length, 0);
});

Deno.test("as text it is a line for each check, with what to do below", needsPrograms, async () => {
  await using node = await startNode();
  const settings = { ...NODE, ...node.agentEnvironment(), KPOD_BPF_MAX_CGROUPS: "4" };
  const { code, output } = await runAgent(settings, { args: ["doctor"] });
  assert.equal(code, 0, output);
  for (const line of output.trimEnd().split("\n")) {
    assert.match(line, /^(?:ok {4}|warn {2}|fail {2}| {6})\S/);
  }
  assert.match(output, /^warn {2}map capacity +5 .*room for 4\n {6}set KPOD_BPF_MAX_CGROUPS to 10 or more/m);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(output, /\x1b/);
});

Deno.test("settings and commands that cannot be used have the exit code 2", async () => {
  for (
    const [settings, args, says] of [
      [{ KPOD_PROFILE: "maximal" }, ["doctor"], /KPOD_PROFILE: got "maximal"/],
      [{}, ["physician"], /the one command is doctor; see --help/],
      [{}, ["--json"], /--json without the command doctor; see --help/],
    ] as const
  ) {
    const { code, log } = await runAgent({ KPOD_KUBELET_URL: "http://127.0.0.1:1", ...settings }, { args });
    assert.equal(code, 2, log);
    assert.match(log, says);
  }
});

/** The capabilities of this process, which its children have too, by their numbers in linux/capability.h. */
function capabilitiesHere(): string {
  const effective = BigInt(`0x${/^CapEff:\s*(\w+)$/m.exec(read("/proc/self/status"))?.[1]}`);
  const names = [[39, "BPF"], [38, "PERFMON"], [21, "SYS_ADMIN"], [19, "SYS_PTRACE"]] as const;
  return names.filter(([bit]) => effective & 1n << BigInt(bit)).map(([, name]) => name).join(", ");
}

function softLimit(name: string): string | undefined {
  return new RegExp(`^${name}\\s+(\\d+)`, "m").exec(read("/proc/self/limits"))?.[1];
}

/** When the kubelet's certificate ends, as `2030-01-02 03:04`. */
async function endOfCertificate(node: LabNode): Promise<string> {
  const args = [
    "x509",
    "-in",
    join(node.directory, "kubelet.crt"),
    "-noout",
    "-enddate",
    "-dateopt",
    "iso_8601",
  ];
  const { stdout } = await new Deno.Command("openssl", { args }).output();
  return /notAfter=(\S+ \d+:\d+)/.exec(new TextDecoder().decode(stdout))?.[1] ?? "no end";
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
