/** The simulated nodes' metrics on one port of 127.0.0.1, each beneath a path of its own. */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { ScrapeJob } from "../agent/prometheus.ts";
import type { Recording } from "./recording.ts";
import { SimulatedNodes } from "./simulated_nodes.ts";

/** As the agent compresses (src/server.ts). */
const compress = promisify(gzip);
export const GZIP_LEVEL = 2;

export class Farm implements AsyncDisposable {
  readonly simulated: SimulatedNodes;
  /** Bytes answered so far, as text and compressed. */
  textBytes = 0;
  gzipBytes = 0;
  /** Scrapes answered so far, by node. */
  readonly #scrapes: number[];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(recording: Recording, nodes: number) {
    this.simulated = new SimulatedNodes(recording);
    this.#scrapes = new Array(nodes).fill(0);
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#answer(Number(new URL(request.url).pathname.split("/")[1])),
    );
  }

  /** How often the node that was scraped least was scraped. */
  get least(): number {
    return Math.min(...this.#scrapes);
  }

  get answers(): number {
    return this.#scrapes.reduce((sum, each) => sum + each);
  }

  /** What makes Prometheus scrape every node at this interval. */
  job(intervalSeconds: number): ScrapeJob & Record<string, unknown> {
    const { port } = this.#server.addr;
    // Prometheus reads no fractions of a unit.
    const interval = `${Math.round(intervalSeconds * 1_000)}ms`;
    return {
      job_name: "kpod-metrics",
      honor_labels: true,
      scrape_interval: interval,
      scrape_timeout: interval,
      static_configs: this.#scrapes.map((_, node) => ({
        targets: [`127.0.0.1:${port}`],
        labels: { __metrics_path__: `/${node}/metrics`, instance: `10.0.${node >> 8}.${node & 255}:9090` },
      })),
    };
  }

  async #answer(node: number): Promise<Response> {
    const scrapes = this.#scrapes[node];
    if (scrapes === undefined) return new Response("no such node\n", { status: 404 });
    const text = this.simulated.text(node, scrapes);
    const body = new Uint8Array(await compress(text, { level: GZIP_LEVEL }));
    this.#scrapes[node] = scrapes + 1;
    this.textBytes += text.length;
    this.gzipBytes += body.length;
    return new Response(body, {
      headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Content-Encoding": "gzip" },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
