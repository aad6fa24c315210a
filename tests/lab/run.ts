/**
 * `deno task run`: the agent, under its own narrow permissions, against a kubelet that is configured or answers
 * on this machine; without one, against the lab node, which is started for the purpose.
 */
import { fileURLToPath } from "node:url";
import { ensureTools, LAB_TOOLS } from "../../native/tools.ts";
import { startDemo } from "./demo.ts";
import { LabNode } from "./node.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Where common distributions keep a client certificate that the kubelet on the same machine accepts. */
const LOCAL_CREDENTIALS = [
  {
    cert: "/etc/kubernetes/pki/apiserver-kubelet-client.crt",
    key: "/etc/kubernetes/pki/apiserver-kubelet-client.key",
    ca: "/var/lib/kubelet/pki/kubelet.crt",
  },
  {
    cert: "/var/lib/rancher/k3s/server/tls/client-kube-apiserver.crt",
    key: "/var/lib/rancher/k3s/server/tls/client-kube-apiserver.key",
    ca: "/var/lib/rancher/k3s/agent/server-ca.crt",
  },
];

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, () => stopping.abort());
}
Deno.exit(await main());

async function main(): Promise<number> {
  const kubelet = await localKubelet();
  if (kubelet !== undefined) return await runAgent(kubelet);
  if (Deno.uid() !== 0) {
    say("Cannot start the lab node: it makes cgroups and network namespaces; run this as root");
    return 1;
  }
  await ensureTools(LAB_TOOLS);
  say(
    "No kubelet is configured or answers here: starting the lab node, whose pods are real cgroups with real load",
  );
  await using node = await LabNode.start();
  // Ctrl-C reaches the load as well: that it ends then is no trouble to tell of.
  const tell = (error: Error) => stopping.signal.aborted || say(`lab: ${error.message}`);
  const demo = await startDemo(node, (error) => void setTimeout(tell, 500, error));
  try {
    const { hostname, port } = listenAddress();
    say(`Metrics will be at http://${hostname}:${port}/metrics; Ctrl-C stops agent and lab`);
    return await runAgent({
      KPOD_PROFILE: "comprehensive",
      KPOD_LOG_FORMAT: "text",
      ...node.agentEnvironment(),
    });
  } finally {
    await demo.stop();
  }
}

/** Settings for the kubelet to use: none needed when it is configured, `undefined` when there is none. */
async function localKubelet(): Promise<Record<string, string> | undefined> {
  if (Deno.env.has("KPOD_KUBELET_URL") || Deno.env.has("NODE_IP")) return {};
  if (await listens(10255)) {
    say("Using the kubelet's read-only port, http://127.0.0.1:10255");
    return { KPOD_KUBELET_URL: "http://127.0.0.1:10255" };
  }
  if (!await listens(10250)) return undefined;
  for (const { cert, key, ca } of LOCAL_CREDENTIALS) {
    if (!isFile(cert) || !isFile(key) || !isFile(ca)) continue;
    say(`Using the kubelet at https://127.0.0.1:10250 with the client certificate ${cert}`);
    return {
      KPOD_KUBELET_URL: "https://127.0.0.1:10250",
      KPOD_KUBELET_CERT_FILE: cert,
      KPOD_KUBELET_KEY_FILE: key,
      KPOD_KUBELET_CA_FILE: ca,
      KPOD_KUBELET_SERVER_NAME: Deno.env.get("NODE_NAME") ?? Deno.hostname(),
    };
  }
  say(
    "A kubelet listens on 127.0.0.1:10250, but no credentials for it are known: set KPOD_KUBELET_URL with " +
      "KPOD_KUBELET_TOKEN_FILE, or KPOD_KUBELET_CERT_FILE and KPOD_KUBELET_KEY_FILE, to use it",
  );
  return undefined;
}

async function runAgent(settings: Record<string, string>): Promise<number> {
  const agent = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-remote", "-P=agent", "--no-prompt", "mod.ts", ...Deno.args],
    cwd: ROOT,
    // What the user has set comes before what was found here.
    env: { ...settings, ...Deno.env.toObject() },
  }).spawn();
  const stop = () => agent.kill("SIGTERM");
  stopping.signal.addEventListener("abort", stop);
  if (stopping.signal.aborted) stop();
  const { code } = await agent.status;
  stopping.signal.removeEventListener("abort", stop);
  return code;
}

async function listens(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

function listenAddress(): { hostname: string; port: string } {
  const [, host = "", port = "9090"] = /^(.*?):(\d+)$/.exec(Deno.env.get("KPOD_LISTEN_ADDRESS") ?? "") ?? [];
  return { hostname: host === "" || host === "0.0.0.0" || host === "[::]" ? "localhost" : host, port };
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function say(message: string): void {
  console.error(message);
}
