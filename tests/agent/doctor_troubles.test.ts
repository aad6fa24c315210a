/** The preflight where something is wrong: it says what, and what to do, and ends with 1. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { needsPrograms } from "../kernel/requirements.ts";
import { createCertificates } from "../lab/certificates.ts";
import type { LabNode } from "../lab/node.ts";
import { baseEnvironment, freePort, type Labels, ROOT } from "./agent.ts";
import { doctor, failed, NODE, parsed, startNode } from "./doctor.ts";

type Trouble = readonly [
  what: string,
  checks: readonly string[],
  advice: RegExp,
  settings: (node: LabNode) => Promise<Labels>,
];

const TROUBLES: readonly Trouble[] = [
  [
    "a stopped kubelet",
    ["kubelet"],
    /^check that a kubelet runs on this node/,
    () => Promise.resolve({ KPOD_KUBELET_URL: `https://127.0.0.1:${freePort()}` }),
  ],
  ["a kubelet that never answers", ["kubelet"], /why it is slow; the agent waits 5000 ms/, (node) => {
    node.kubelet.answer = { kind: "hang" };
    return Promise.resolve({});
  }],
  [
    "a wrong token",
    ["kubelet authentication"],
    /^the kubelet did not accept the token in/,
    (node) => token(node, "wrong"),
  ],
  [
    "no token",
    ["kubelet authentication"],
    /^set KPOD_KUBELET_TOKEN_FILE to a file/,
    (node) => Promise.resolve({ KPOD_KUBELET_TOKEN_FILE: join(node.directory, "none") }),
  ],
  [
    "a token without the right",
    ["kubelet authorization"],
    /^bind lab to a ClusterRole with the verb get on nodes\/pods$/,
    (node) => token(node, `${node.kubelet.token}-forbidden`),
  ],
  [
    "a wrong CA",
    ["kubelet", "kubelet certificate"],
    /^this kubelet signs its own certificate: .* KPOD_KUBELET_CA_FILE too/,
    async (node) => {
      const directory = await Deno.makeTempDir({ dir: node.directory });
      const { ca } = await createCertificates(directory, "other");
      await Deno.writeTextFile(join(directory, "ca.crt"), ca);
      return { KPOD_KUBELET_CA_FILE: join(directory, "ca.crt") };
    },
  ],
  [
    "a wrong server name",
    ["kubelet", "kubelet certificate"],
    /set KPOD_KUBELET_SERVER_NAME to a name it is for, such as lab-node$/,
    () => Promise.resolve({ KPOD_KUBELET_SERVER_NAME: "elsewhere" }),
  ],
  [
    "a wrong cgroup root",
    ["cgroup v2"],
    /^set KPOD_CGROUP_ROOT/,
    (node) => Promise.resolve({ KPOD_CGROUP_ROOT: node.directory }),
  ],
];

async function token(node: LabNode, text: string): Promise<Labels> {
  const path = join(node.directory, "other-token");
  await Deno.writeTextFile(path, text);
  return { KPOD_KUBELET_TOKEN_FILE: path };
}

for (const [what, checks, advice, settings] of TROUBLES) {
  Deno.test(`${what} is found, and the exit code is 1`, needsPrograms, async () => {
    await using node = await startNode();
    const { code, findings } = await doctor({ ...node.agentEnvironment(), ...await settings(node) });
    assert.deepEqual(failed(findings), checks);
    assert.match(findings.get(checks[0] ?? "")?.advice ?? "", advice);
    assert.equal(code, 1);
  });
}

/** Ways to run without capabilities, as far as this checkout can be read then. */
const UNPRIVILEGED = [
  ["as another user", ["--reuid=65534", "--clear-groups"]],
  ["as root without capabilities", ["--bounding-set=-all", "--inh-caps=-all"]],
] as const;

for (const [how, drop] of UNPRIVILEGED) {
  const readable = new Deno.Command("setpriv", { args: [...drop, "test", "-r", join(ROOT, "mod.ts")] });
  const canRun = !needsPrograms.ignore && readable.outputSync().success;
  if (!canRun) {
    console.error(`The preflight is not run ${how}: setpriv cannot, or the checkout is not readable then`);
  }
  Deno.test(
    `${how} the preflight misses capabilities, and every signal with them`,
    { ignore: !canRun },
    async () => {
      await using node = await startNode();
      Deno.chmodSync(node.directory, 0o755);
      const cache = join(node.directory, "cache");
      Deno.mkdirSync(cache);
      Deno.chmodSync(cache, 0o777);
      const settings = { ...NODE, ...node.agentEnvironment(), DENO_DIR: cache, KPOD_PROFILE: "minimal" };
      const { code, stdout, stderr } = await new Deno.Command("setpriv", {
        args: [...drop, Deno.execPath(), "run", "-P=agent", "--no-prompt", "mod.ts", "doctor", "--json"],
        cwd: ROOT,
        clearEnv: true,
        env: { ...baseEnvironment(), ...settings },
      }).output();
      const [output = "", log] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assert.notEqual(output, "", log);
      const findings = parsed(output);
      assert.deepEqual(failed(findings), ["capabilities", "signal cpu_sched", "signal oom"]);
      const { found, advice } = findings.get("capabilities") ?? {};
      assert.match(found ?? "", /^none of those it uses; lacks BPF and PERFMON$/);
      assert.match(advice ?? "", /^run the agent as root or with CAP_BPF, CAP_PERFMON/);
      assert.match(findings.get("signal oom")?.advice ?? "", /CAP_BPF and CAP_PERFMON/);
      assert.equal(code, 1);
    },
  );
}
