/** The HTTP side of the agent: metrics, health and a page for people. It is handed text, never a collector. */

import { type Bytes, gzipped, plain } from "./body.ts";
import type { Logger } from "./log.ts";
import { CONTENT_TYPES, type ExpositionFormat } from "./metrics/registry.ts";
import { acceptsGzip, chooseFormat } from "./negotiation.ts";
import { CONTENT_SECURITY_POLICY, renderStatusPage, type StatusPage } from "./status_page.ts";
import { type Gate, guarded } from "./web/gate.ts";
import type { Listen, ListenAddress, Listener } from "./web/listener.ts";
import { Seldom } from "./web/seldom.ts";

export type { StatusPage };

/** What the server needs from the rest of the agent. */
export interface ServerDependencies {
  /** Exposition text piece by piece, not older than a scrape may expect. Throws only on a bug. */
  metrics(format: ExpositionFormat): AsyncIterable<string>;
  /** Whether the agent can answer a scrape, and if not, why, one line each. */
  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] };
  status(): StatusPage;
  readonly log: Logger;
}

/** A server that accepts connections. */
export interface RunningServer {
  /** Where it listens, with the port it was given. */
  readonly address: Listener["address"];
  /** Stops accepting, lets running requests finish for a while, then drops them with 503. */
  close(): Promise<void>;
}

/** An answer before it is fitted to the request's method. */
interface Answer {
  readonly status?: number;
  readonly type: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Bytes;
}

const PLAIN_TEXT = "text/plain; charset=utf-8";

const CLOSE_GRACE_MS = 2_000;

/** How long the dropped requests then have to be told so. */
const DROP_MS = 100;

/**
 * Returns the handler of every request: `/metrics` (also as `/actuator/prometheus`), `/healthz`, `/readyz`
 * and `/`, by GET and HEAD. It never rejects: what its dependencies throw is logged and answered with 500.
 */
export function handler(deps: ServerDependencies): (request: Request) => Promise<Response> {
  const metrics = metricsRoute(deps);
  const routes = new Map<string, (request: Request) => Answer | Promise<Answer>>([
    ["/", () => statusPage(deps)],
    ["/metrics", metrics],
    ["/actuator/prometheus", metrics],
    ["/healthz", () => ({ type: PLAIN_TEXT, body: "ok\n" })],
    ["/readyz", () => readiness(deps)],
  ]);

  const told = new Map([...routes.keys()].map((path) => [path, new Seldom()]));

  async function answer(request: Request, path: string): Promise<Answer> {
    const route = routes.get(path);
    if (!route) {
      const known = [...routes.keys()].join(", ");
      return { status: 404, type: PLAIN_TEXT, body: `Nothing is served here; known paths: ${known}\n` };
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      return { status: 405, type: PLAIN_TEXT, headers: { Allow: "GET, HEAD" }, body: "Use GET or HEAD\n" };
    }
    return await route(request);
  }

  return async (request) => {
    // The Host header is part of the URL, and clients can put anything there.
    const path = URL.parse(request.url)?.pathname;
    if (path === undefined) return toResponse(request, { status: 400, type: PLAIN_TEXT, body: "Bad URL\n" });
    try {
      return toResponse(request, await answer(request, path));
    } catch (error) {
      told.get(path)?.tell(() =>
        deps.log.error(`Cannot answer ${request.method} ${path}`, {
          error: error instanceof Error ? error.message : String(error),
          stack: error instanceof Error ? error.stack : undefined,
        })
      );
      const body = `Cannot answer ${request.method} ${path}: internal error; see the agent's log\n`;
      return toResponse(request, { status: 500, type: PLAIN_TEXT, body });
    }
  };
}

export interface ServeOptions {
  /** What listens there. */
  readonly listen: Listen;
  /** Decides who is answered. @default everybody is */
  readonly gate?: Gate;
  /** How long `close()` lets running requests go on, in milliseconds. */
  readonly closeGraceMs?: number;
}

/**
 * Listens on `address` and answers with `handler(deps)` whom the gate lets in, no more than a few at a time.
 *
 * @throws {Error} If it cannot listen there; the message is for the operator.
 */
export async function serve(
  deps: ServerDependencies,
  address: ListenAddress,
  { listen, gate, closeGraceMs = CLOSE_GRACE_MS }: ServeOptions,
): Promise<RunningServer> {
  const hostname = address.hostname.replace(/^\[(.*)\]$/, "$1");
  const answer = guarded(handler(deps), gate);
  const running = new Set<(response: Response) => void>();
  const listener = await listen({ hostname, port: address.port }, async (request, exchange) => {
    const dropped = Promise.withResolvers<Response>();
    running.add(dropped.resolve);
    try {
      return await Promise.race([answer(request, exchange), dropped.promise]);
    } finally {
      running.delete(dropped.resolve);
    }
  });

  async function shutDown() {
    // A server that was shut down cannot be aborted any more: its requests have to be ended one by one.
    const finished = listener.shutdown();
    if (await settlesWithin(finished, closeGraceMs)) return;
    for (const drop of running) drop(new Response("The agent is stopping\n", { status: 503 }));
    // A client that does not read its answer still holds a connection; it must not hold the process too.
    if (!await settlesWithin(finished, DROP_MS)) listener.abandon();
  }
  let closed: Promise<void> | undefined;
  return { address: listener.address, close: () => closed ??= shutDown() };
}

function settlesWithin(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  const { promise: settled, resolve, reject } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), milliseconds);
  promise.then(() => resolve(true), reject).finally(() => clearTimeout(timer));
  return settled;
}

/** What is asked for while the same is being made is made once: Prometheus servers often come in pairs. */
function metricsRoute(deps: ServerDependencies): (request: Request) => Promise<Answer> {
  const making = new Map<string, Promise<Bytes>>();

  function body(format: ExpositionFormat, compressed: boolean): Promise<Bytes> {
    const key = `${format} ${compressed}`;
    const made = making.get(key) ??
      (compressed ? gzipped : plain)(deps.metrics(format)).finally(() => making.delete(key));
    making.set(key, made);
    return made;
  }

  return async ({ headers }) => {
    const format = chooseFormat(headers.get("Accept"));
    const compressed = acceptsGzip(headers.get("Accept-Encoding"));
    return {
      type: CONTENT_TYPES[format],
      headers: { Vary: "Accept, Accept-Encoding", ...compressed ? { "Content-Encoding": "gzip" } : {} },
      body: await body(format, compressed),
    };
  };
}

function readiness(deps: ServerDependencies): Answer {
  const { ready, reasons } = deps.readiness();
  if (ready) return { type: PLAIN_TEXT, body: "ready\n" };
  return { status: 503, type: PLAIN_TEXT, body: reasons.map((reason) => `${reason}\n`).join("") };
}

function statusPage(deps: ServerDependencies): Answer {
  return {
    type: "text/html; charset=utf-8",
    headers: { "Content-Security-Policy": CONTENT_SECURITY_POLICY },
    body: renderStatusPage(deps.status(), ["/metrics", "/healthz", "/readyz"]),
  };
}

/** HEAD gets the headers of GET, the length of the body it would have had among them. */
function toResponse(request: Request, { status = 200, type, headers, body }: Answer): Response {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return new Response(request.method === "HEAD" ? null : bytes, {
    status,
    headers: { "Content-Type": type, "Content-Length": `${bytes.length}`, ...headers },
  });
}
