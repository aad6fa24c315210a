/** Scrapes as Prometheus makes them: compressed, on a connection that stays open. */
import { Agent, get } from "node:http";
import { gunzipSync } from "node:zlib";

/** Prometheus 3. */
const ACCEPT = [
  "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6",
  "application/openmetrics-text;version=0.0.1;q=0.5",
  "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4",
  "text/plain;version=0.0.4;q=0.3",
  "*/*;q=0.2",
].join(",");

/** What a scrape was answered. */
export class Answer {
  constructor(
    /** From the request's beginning to the answer's end. */
    readonly seconds: number,
    readonly body: Buffer,
  ) {}

  /** The exposition. */
  get text(): string {
    return gunzipSync(this.body).toString();
  }
}

/** One that scrapes; it has one connection. */
export class Client implements Disposable {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  /** Rejects if the answer is not compressed, or none. */
  scrape(url: string): Promise<Answer> {
    const began = performance.now();
    return new Promise((resolve, reject) => {
      const headers = { accept: ACCEPT, "accept-encoding": "gzip" };
      get(url, { agent: this.#agent, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk) => chunks.push(chunk)).on("error", reject).on("end", () => {
          const { statusCode, headers: { "content-encoding": encoding } } = response;
          if (statusCode === 200 && encoding === "gzip") {
            resolve(new Answer((performance.now() - began) / 1000, Buffer.concat(chunks)));
          } else reject(new Error(`Cannot scrape ${url}: got status ${statusCode}, encoding ${encoding}`));
        });
      }).on("error", reject);
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/** How many series an exposition has. */
export function countSeries(text: string): number {
  return text.match(/^[^#\n]/gm)?.length ?? 0;
}

/** The value of the first series of that name; NaN where there is none. */
export function valueOf(text: string, name: string): number {
  return Number(new RegExp(`^${name}(?:\\{.*?\\})? (\\S+)`, "m").exec(text)?.[1] ?? NaN);
}

/** The values of a metric by one of its labels. */
export function valuesBy(text: string, name: string, label: string): Map<string, number> {
  const series = text.matchAll(new RegExp(`^${name}\\{(?:.*?,)?${label}="(.*?)".*?\\} (\\S+)`, "gm"));
  return new Map([...series].map(([, key = "", value]) => [key, Number(value)]));
}
