/** The preflight as a whole, on machines that lack one thing or another. */
import assert from "node:assert/strict";
import { parseConfig } from "../../src/config.ts";
import { type DoctorOptions, examine } from "../../src/doctor/doctor.ts";
import type { Finding } from "../../src/doctor/finding.ts";
import type { ProgramState } from "../../src/native/programs.ts";
import { hostFiles } from "./doctor_files.ts";
import { enc, listPods, servePlain } from "./kubelet_server.ts";

const STATE: ProgramState = {
  signal: "oom",
  program: "mark_victim",
  hook: "tp_btf",
  state: "attached",
  reason: "",
  mayMiss: "",
};

/** What proc and sys of a good machine hold. */
const PROC = {
  "sys/kernel/osrelease": "6.18.0\n",
  "sys/kernel/bpf_stats_enabled": "0\n",
  "self/status": "CapEff:\t000001ffffffffff\n",
  "self/limits": "Max open files            1024                 524288               files\n",
};
const SYS = { "kernel/btf/vmlinux": "BTF", "kernel/security/lockdown": "[none] integrity confidentiality" };

interface Machine {
  readonly proc?: Readonly<Record<string, string>>;
  readonly sys?: Readonly<Record<string, string>>;
  readonly settings?: Readonly<Record<string, string>>;
  readonly loadPrograms?: DoctorOptions["loadPrograms"];
}

const loads = () => ({ states: [STATE], close() {} });

async function examined(
  { proc = PROC, sys = SYS, settings = {}, ...rest }: Machine,
): Promise<Map<string, Finding>> {
  using procFiles = hostFiles(proc);
  using sysFiles = hostFiles(sys);
  const config = parseConfig({
    KPOD_KUBELET_URL: "http://127.0.0.1:1",
    KPOD_LISTEN_ADDRESS: "127.0.0.1:0",
    // No cgroup v2 there.
    KPOD_CGROUP_ROOT: procFiles.root.path,
    ...settings,
  }, { arch: "x86_64", programDirectory: "/nowhere", hostname: "node1" });
  const findings = await examine({
    config,
    proc: procFiles.root,
    sys: sysFiles.root,
    readFile: () => enc.encode("t0ken"),
    passwordFits: () => Promise.resolve(false),
    loadPrograms: "loadPrograms" in rest ? rest.loadPrograms : loads,
  });
  assert.equal(new Set(findings.map(({ check }) => check)).size, findings.length, "each check is made once");
  for (const { status, advice } of findings) assert.equal(advice === "", status === "ok");
  return new Map(findings.map((finding) => [finding.check, finding]));
}

const ALWAYS = ["kernel", "BTF", "capabilities", "cgroup v2", "lockdown", "eBPF statistics", "kubelet"];

Deno.test("every check is made where there is hardly anything to look at, and fails by itself", async () => {
  const findings = await examined({
    proc: {},
    sys: {},
    loadPrograms: () => {
      throw new Error("Cannot load: got nothing; try another day");
    },
  });
  for (const check of [...ALWAYS, "signals", "listen address", "open files", "map capacity"]) {
    assert.ok(findings.has(check), check);
  }
  for (const check of ["kernel", "BTF", "capabilities", "cgroup v2", "signals", "kubelet", "open files"]) {
    assert.equal(findings.get(check)?.status, "fail", check);
  }
  assert.deepEqual(findings.get("signals"), {
    check: "signals",
    status: "fail",
    found: "Cannot load: got nothing",
    advice: "try another day",
  });
  assert.match(findings.get("cgroup v2")?.advice ?? "", /^set KPOD_CGROUP_ROOT/);
  assert.match(findings.get("kubelet")?.advice ?? "", /that a kubelet runs on this node/);
});

Deno.test("programs are tried without a kubepods root too, where they see nothing, and are detached", async () => {
  let closed = 0;
  const asked: unknown[] = [];
  const findings = await examined({
    loadPrograms: (kubepods) => {
      asked.push(kubepods.id);
      return { states: [STATE], close: () => void closed++ };
    },
  });
  assert.deepEqual([asked, closed], [[0n], 1]);
  assert.equal(findings.get("signal oom")?.status, "ok");
  assert.ok(!findings.has("kubepods") && !findings.has("pods and cgroups"));
});

Deno.test("without eBPF nothing is asked for that only eBPF needs", async () => {
  const findings = await examined({
    proc: { ...PROC, "self/status": "CapEff:\t0000000000000000\n" },
    sys: {},
    settings: { KPOD_PROFILE: "minimal" },
    loadPrograms: undefined,
  });
  for (const check of ["BTF", "capabilities", "signals", "lockdown"]) {
    assert.equal(findings.get(check)?.status, "ok", findings.get(check)?.found);
  }
  assert.ok(!findings.has("map capacity"));
});

Deno.test("plain HTTP shows no certificate, and TLS that cannot be had is told", async () => {
  await using server = await servePlain(listPods);
  const plain = await examined({ settings: { KPOD_KUBELET_URL: `http://127.0.0.1:${server.port}` } });
  assert.equal(plain.get("kubelet authorization")?.status, "ok");
  assert.ok(!plain.has("kubelet certificate"));
  const secure = await examined({
    settings: { KPOD_KUBELET_URL: `https://127.0.0.1:${server.port}`, KPOD_KUBELET_CA_FILE: "ca" },
  });
  // The CA file holds a token.
  assert.match(secure.get("kubelet certificate")?.found ?? "", /no such PEM block/);
  assert.equal(secure.get("kubelet authentication")?.status, "fail");
});
