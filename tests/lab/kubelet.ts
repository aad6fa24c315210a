/** A stand-in for the kubelet's HTTPS port 10250: `/pods` for who has the token. */
import type { Certificates } from "./certificates.ts";

/** How it answers an authorized request for `/pods`. */
export type KubeletAnswer =
  | { readonly kind: "pods" }
  /** `"items":null`, as for some seconds after a kubelet's restart. */
  | { readonly kind: "empty" }
  | { readonly kind: "status"; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: "text"; readonly text: string }
  /** Never, until it is stopped. */
  | { readonly kind: "hang" }
  /** The headers and the beginning of a body, of which the rest never comes. */
  | { readonly kind: "stall" };

export interface KubeletOptions {
  /** Returns the body of `/pods`. */
  readonly pods: () => unknown;
  readonly certificates: Certificates;
  readonly token: string;
  /** A token that is known but may not see pods: 403. */
  readonly forbiddenToken?: string;
  /** @default "127.0.0.1" */
  readonly hostname?: string;
  /** @default 0, any free port */
  readonly port?: number;
}

export class Kubelet implements AsyncDisposable {
  /** May be changed at any time. */
  answer: KubeletAnswer = { kind: "pods" };
  /** The token that is good now; changing it makes the old one bad. */
  token: string;
  /** Requests for `/pods` so far, whatever the answer was. */
  requests = 0;
  readonly #options: KubeletOptions;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #stopping = Promise.withResolvers<void>();

  private constructor(options: KubeletOptions) {
    this.#options = options;
    this.token = options.token;
    this.#server = Deno.serve({
      hostname: options.hostname ?? "127.0.0.1",
      port: options.port ?? 0,
      cert: options.certificates.certificate,
      key: options.certificates.key,
      onListen: () => {},
    }, (request) => this.#handle(request));
  }

  /** Serves until it is stopped. */
  static start(options: KubeletOptions): Kubelet {
    return new Kubelet(options);
  }

  get url(): string {
    const { hostname, port } = this.#server.addr;
    return `https://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  }

  async stop(): Promise<void> {
    this.#stopping.resolve();
    await this.#server.shutdown();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** A real kubelet checks the token first, on every path. */
  async #handle(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const isPods = pathname === "/pods" || pathname === "/pods/";
    if (isPods) this.requests++;
    const token = request.headers.get("authorization")?.replace(/^Bearer /, "");
    if (token !== undefined && token === this.#options.forbiddenToken) {
      return new Response("Forbidden (user=lab, verb=get, resource=nodes, subresource(s)=[pods proxy])", {
        status: 403,
      });
    }
    if (token !== this.token) return new Response("Unauthorized", { status: 401 });
    if (!isPods) return new Response("404 page not found\n", { status: 404 });
    switch (this.answer.kind) {
      case "pods":
        return Response.json(this.#options.pods());
      case "empty":
        return Response.json({ kind: "PodList", apiVersion: "v1", metadata: {}, items: null });
      case "status":
        return new Response("the lab was told to fail\n", this.answer);
      case "text":
        return new Response(this.answer.text, { headers: { "content-type": "application/json" } });
      case "hang":
        await this.#stopping.promise;
        return new Response("stopped", { status: 503 });
      case "stall":
        return new Response(beginning(this.#stopping.promise));
    }
  }
}

/** A body that begins, and goes on when `wait` is over. */
function beginning(wait: Promise<void>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start: (controller) => controller.enqueue(encoder.encode('{"kind":"PodList","items":[')),
    async pull(controller) {
      await wait;
      controller.close();
    },
  });
}
