/**
 * HTTP over TLS, by `node:https`: the runtime's own server can neither exchange its certificate while it runs nor ask
 * clients for theirs.
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { ClientCertificates, type ClientSocket } from "./client_certificates.ts";
import { CONNECTION_LIMITS } from "./connection_watch.ts";
import { type Answer, type ListenAddress, type Listener, listenError } from "./listener.ts";
import type { TlsSettings } from "./web_settings.ts";

/** A listener whose certificates can be exchanged. */
export interface TlsListener extends Listener {
  /**
   * Has others take the place of the settings; connections that are open stay so.
   *
   * @throws {Error} if the TLS layer cannot use them; then the earlier stay.
   */
  use(tls: TlsSettings): void;
}

const MOST_HEADER_BYTES = 16 * 1024;

/** So long the runtime keeps 20 kB of every connection whose handshake fails, even when that is long closed. */
const HANDSHAKE_MS = 5_000;

/** The connections that the watch leaves, and a second's more; what comes beyond them is closed at once. */
const MOST_CONNECTIONS = 4 * CONNECTION_LIMITS.most;

/** What the runtime's declarations leave out. */
type Server = https.Server & { requestCert: boolean; rejectUnauthorized: boolean };

/**
 * Listens on `address`.
 *
 * @throws {Error} If it cannot listen there, or use these settings; the message is for the operator.
 */
export async function listenTls(
  address: ListenAddress,
  answer: Answer,
  tls: TlsSettings,
): Promise<TlsListener> {
  let clients = new ClientCertificates(tls);
  const admitted = new WeakSet<object>();
  const server = https.createServer({
    ...contextOf(tls),
    ...clientOptions(tls),
    handshakeTimeout: HANDSHAKE_MS,
    maxHeaderSize: MOST_HEADER_BYTES,
    // A connection that asks again in time need not shake hands again.
    keepAliveTimeout: CONNECTION_LIMITS.quietMs,
    headersTimeout: CONNECTION_LIMITS.requestMs,
    requestTimeout: CONNECTION_LIMITS.requestMs,
  }, (request, response) => {
    if (admitted.has(request.socket)) void respond(request, response, answer);
    else request.socket.destroy();
  }) as Server;
  server.maxConnections = MOST_CONNECTIONS;
  // Before the server's own, which begins to read requests.
  server.prependListener("secureConnection", (socket: TLSSocket) => {
    if (isAdmitted(socket as ClientSocket & TLSSocket, clients)) admitted.add(socket);
    else socket.destroy();
  });
  await listening(server, address);
  const { address: hostname, port } = server.address() as AddressInfo;
  return {
    address: { hostname, port },
    use: (next) => {
      server.setSecureContext(contextOf(next));
      Object.assign(server, clientOptions(next));
      clients = new ClientCertificates(next);
    },
    shutdown: () => closed(server),
    abandon: () => server.closeAllConnections(),
  };
}

function contextOf({ cert, key, clientCa, minVersion, maxVersion }: TlsSettings) {
  return { cert, key, minVersion, maxVersion, ...(clientCa === undefined ? {} : { ca: clientCa }) };
}

/** A certificate that may be left out is verified by `ClientCertificates` alone. */
function clientOptions({ clientAuth }: TlsSettings) {
  return {
    requestCert: clientAuth !== "NoClientCert",
    rejectUnauthorized: clientAuth === "RequireAndVerifyClientCert",
  };
}

function isAdmitted(socket: ClientSocket, clients: ClientCertificates): boolean {
  try {
    return clients.admits(socket);
  } catch {
    // A certificate that cannot be read.
    return false;
  }
}

function listening(server: https.Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => reject(listenError(address, error));
    try {
      // Which says why it cannot, where the other does not or throws it at nobody.
      Deno.listen({ hostname: address.hostname, port: address.port }).close();
    } catch (error) {
      return fail(error);
    }
    server.once("error", fail);
    server.listen(address.port, address.hostname, () => {
      server.off("error", fail);
      resolve();
    });
  });
}

function closed(server: https.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}

async function respond(message: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
  // A connection that breaks off is no more than that.
  response.on("error", () => {});
  const sent = new Promise<void>((resolve) => response.once("close", resolve));
  const { remoteAddress: peer = "", remotePort: peerPort = 0 } = message.socket;
  try {
    const request = requestOf(message);
    const { status, headers, body } = request === undefined
      ? new Response("Bad request\n", { status: 400 })
      : await answer(request, { peer, peerPort, sent });
    const bytes = body === null ? undefined : Buffer.from(await new Response(body).arrayBuffer());
    response.writeHead(status, Object.fromEntries(headers));
    response.end(bytes);
  } catch {
    response.destroy();
  }
}

/** Without its body, which nobody reads; undefined for one that is none. */
function requestOf({ method = "GET", url = "/", headers }: IncomingMessage): Request | undefined {
  // Which host was meant is nothing to the agent.
  const target = url.startsWith("/") ? `https://localhost${url}` : url;
  const fields = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((each): [string, string] => [name, each])
  );
  try {
    return new Request(target, { method, headers: fields });
  } catch {
    return undefined;
  }
}
