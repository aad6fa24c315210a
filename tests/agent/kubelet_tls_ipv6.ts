/**
 * Run in a network namespace of its own: a kubelet at an IPv6 address, and the preflight against it with the agent's
 * permissions as they are, and with those that the first one's advice names. Prints both findings.
 */
import { createCertificates } from "../lab/certificates.ts";
import { Kubelet } from "../lab/kubelet.ts";
import { baseEnvironment, ROOT } from "./agent.ts";

const [address = "", directory = ""] = Deno.args;
const certificates = await createCertificates(directory, "lab-node");
await Deno.writeTextFile(`${directory}/token`, "t0ken");
await using kubelet = Kubelet.start({
  pods: () => ({ kind: "PodList", apiVersion: "v1", metadata: {}, items: null }),
  certificates,
  token: "t0ken",
  hostname: address,
});

const environment = {
  ...baseEnvironment(),
  NODE_NAME: "lab-node",
  KPOD_PROFILE: "custom",
  KPOD_COLLECTORS: "cpu",
  KPOD_KUBELET_URL: kubelet.url,
  KPOD_KUBELET_TOKEN_FILE: `${directory}/token`,
  KPOD_KUBELET_CA_FILE: `${directory}/kubelet.crt`,
  KPOD_LISTEN_ADDRESS: "[::]:0",
};

/** Runs the preflight as the image does, with more options of Deno's. */
async function findings(...more: string[]): Promise<Record<string, { status: string; advice: string }>> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-remote", "-P=agent", "--no-prompt", ...more, "mod.ts", "doctor", "--json"],
    cwd: ROOT,
    clearEnv: true,
    env: environment,
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (text === "") throw new Error(new TextDecoder().decode(stderr));
  return Object.fromEntries(JSON.parse(text).map((finding: { check: string }) => [finding.check, finding]));
}

const refused = await findings();
const option = /--allow-net=\S+/.exec(refused["kubelet"]?.advice ?? "")?.[0];
const allowed = option === undefined ? {} : await findings(option);
console.log(JSON.stringify({ refused, option, allowed }));
