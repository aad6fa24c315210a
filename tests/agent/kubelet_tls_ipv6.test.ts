/** A kubelet at an IPv6 address, of which the agent's permissions name none but the loopback. */
import assert from "node:assert/strict";
import type { Finding } from "../../src/doctor/finding.ts";
import { ROOT } from "./agent.ts";

const ADDRESS = "fd00::1";

/** Runs a command in a network namespace of its own, where the loopback has one more address. */
function inNamespace(...command: string[]): Deno.Command {
  const set = `ip link set lo up && ip -6 address add ${ADDRESS}/128 dev lo nodad && exec "$@"`;
  return new Deno.Command("unshare", { args: ["--net", "--", "sh", "-c", set, "sh", ...command], cwd: ROOT });
}

const canAddress = Deno.uid() === 0 && inNamespace("true").outputSync().success;
if (!canAddress) console.error(`IPv6 kubelets are not tested: root, ip and a kernel with IPv6 are needed`);

Deno.test("a kubelet at an IPv6 address is reached once the permission names it, as the refusal says", {
  ignore: !canAddress,
}, async () => {
  const directory = await Deno.makeTempDir();
  try {
    const script = ["run", "--allow-all", "tests/agent/kubelet_tls_ipv6.ts", ADDRESS, directory];
    const { stdout, stderr } = await inNamespace(Deno.execPath(), ...script).output();
    const [text = "", errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert.notEqual(text, "", errors);
    const { refused, option, allowed }: {
      refused: Record<string, Finding>;
      option: string;
      allowed: Record<string, Finding>;
    } = JSON.parse(text);
    assert.equal(refused["kubelet"]?.status, "fail");
    assert.match(
      refused["kubelet"]?.found ?? "",
      /got no permission of this process to connect to \[fd00::1\]:\d+$/,
    );
    assert.match(option, /^--allow-net=0\.0\.0\.0\/0,localhost,\[::\],\[::1\],\[fd00::1\]:\d+$/);
    for (const check of ["kubelet", "kubelet authorization", "kubelet certificate", "listen address"]) {
      assert.equal(allowed[check]?.status, "ok", `${check}: ${allowed[check]?.found}`);
    }
    assert.match(allowed["kubelet certificate"]?.found ?? "", /; fits lab-node and /);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
