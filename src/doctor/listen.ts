/** Whether the agent could serve where it is to. */
import { fail, type Finding, ok, warn } from "./finding.ts";

const ANSWER_MS = 2_000;

/** Listens on the address for a moment. An agent that has it already is no failure: this may run beside one. */
export async function listenAddress(
  address: { readonly hostname: string; readonly port: number },
): Promise<Finding> {
  const { hostname, port } = address;
  const shown = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  try {
    Deno.listen({ hostname, port }).close();
    return ok("listen address", `${shown} is free`);
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return await inUse(shown, hostname, port);
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

async function inUse(shown: string, hostname: string, port: number): Promise<Finding> {
  const local = { "0.0.0.0": "127.0.0.1", "::": "[::1]" }[hostname] ??
    (hostname.includes(":") ? `[${hostname}]` : hostname);
  const text = await fetch(`http://${local}:${port}/`, { signal: AbortSignal.timeout(ANSWER_MS) })
    .then((response) => response.text(), () => "");
  if (/<title>[^<]*kpod-metrics/.test(text)) {
    const advice = "stop it before you start another there, or set KPOD_LISTEN_ADDRESS";
    return warn("listen address", `${shown} is taken by an agent that runs already`, advice);
  }
  const advice = "set KPOD_LISTEN_ADDRESS to a free port, or stop what listens there";
  return fail("listen address", `${shown} is in use by another program`, advice);
}
