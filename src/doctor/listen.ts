/** Whether the agent could serve where it is to. */
import { X509Certificate } from "node:crypto";
import tls from "node:tls";
import { fail, type Finding, ok, warn } from "./finding.ts";

const ANSWER_MS = 2_000;

/**
 * Listens on the address for a moment. An agent that has it already is no failure: this may run beside one.
 *
 * @param certificate PEM text of the one that an agent would show there; `undefined` for plain HTTP.
 */
export async function listenAddress(
  address: { readonly hostname: string; readonly port: number },
  certificate?: string,
): Promise<Finding> {
  const { hostname, port } = address;
  const shown = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  try {
    Deno.listen({ hostname, port }).close();
    return ok("listen address", `${shown} is free`);
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return await inUse(shown, hostname, port, certificate);
    const advice = error instanceof Deno.errors.AddrNotAvailable
      ? "set KPOD_LISTEN_ADDRESS to an address of this host"
      : error instanceof Deno.errors.NotCapable
      ? "set KPOD_LISTEN_ADDRESS to an address that the agent's permissions in deno.json name"
      : error instanceof Deno.errors.PermissionDenied
      ? "set KPOD_LISTEN_ADDRESS to a port above 1023, or grant CAP_NET_BIND_SERVICE"
      : "set KPOD_LISTEN_ADDRESS to host:port";
    return fail("listen address", `${shown}: ${error instanceof Error ? error.message : error}`, advice);
  }
}

async function inUse(
  shown: string,
  hostname: string,
  port: number,
  certificate: string | undefined,
): Promise<Finding> {
  const local = { "0.0.0.0": "127.0.0.1", "::": "::1" }[hostname] ?? hostname;
  const isAgent = certificate === undefined ? answersAsAgent(local, port) : shows(certificate, local, port);
  if (await isAgent) {
    const advice = "stop it before you start another there, or set KPOD_LISTEN_ADDRESS";
    return warn("listen address", `${shown} is taken by an agent that runs already`, advice);
  }
  const advice = "set KPOD_LISTEN_ADDRESS to a free port, or stop what listens there";
  return fail("listen address", `${shown} is in use by another program`, advice);
}

/** An agent that asks for a password says in whose name. */
async function answersAsAgent(hostname: string, port: number): Promise<boolean> {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  try {
    const response = await fetch(`http://${host}:${port}/`, { signal: AbortSignal.timeout(ANSWER_MS) });
    const text = await response.text();
    return /<title>[^<]*kpod-metrics/.test(text) ||
      /realm="kpod-metrics"/.test(response.headers.get("WWW-Authenticate") ?? "");
  } catch {
    return false;
  }
}

/** Over TLS an agent may not answer at all, but it shows its certificate to anybody. */
function shows(certificate: string, host: string, port: number): Promise<boolean> {
  const { fingerprint256 } = new X509Certificate(certificate);
  return new Promise((resolve) => {
    const socket = tls.connect({ host, port, rejectUnauthorized: false });
    const settle = (isShown: boolean) => {
      clearTimeout(timer);
      resolve(isShown);
      socket.destroy();
    };
    const timer = setTimeout(() => settle(false), ANSWER_MS);
    socket.on("error", () => settle(false));
    socket.on("secureConnect", () => settle(socket.getPeerCertificate().fingerprint256 === fingerprint256));
  });
}
