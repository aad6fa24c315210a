/** A Prometheus server that scrapes agents every second. */
import { eventually, freePort, type Labels } from "./agent.ts";

/** Prometheus' own programs are unpacked for the tests where that is possible; see native/tools.ts. */
export function isOnPath(program: string): boolean {
  const found = (Deno.env.get("PATH") ?? "").split(":").some((directory) => {
    try {
      return Deno.statSync(`${directory}/${program}`).isFile;
    } catch {
      return false;
    }
  });
  if (!found) console.error(`Nothing is tested with ${program}: it is not on PATH, and could not be had`);
  return found;
}

/** One entry of `scrape_configs`. */
export interface ScrapeJob {
  readonly job_name: string;
  readonly honor_labels?: boolean;
  readonly scheme?: "http" | "https";
  readonly basic_auth?: { readonly username: string; readonly password: string };
  readonly tls_config?: Readonly<Record<"ca_file" | "server_name" | "cert_file" | "key_file", string>> | {
    readonly ca_file: string;
    readonly server_name: string;
  };
  readonly static_configs: readonly { readonly targets: readonly string[]; readonly labels?: Labels }[];
}

/** One series of an answer; times in milliseconds since the epoch. */
export interface QueriedSeries {
  readonly labels: Labels;
  readonly samples: readonly (readonly [time: number, value: number])[];
}

interface Answer {
  readonly data?: {
    readonly result: readonly {
      readonly metric: Labels;
      readonly value?: readonly [number, string];
      readonly values?: readonly (readonly [number, string])[];
    }[];
  };
  readonly error?: string;
}

export class Prometheus implements AsyncDisposable {
  private constructor(
    private readonly process: Deno.ChildProcess,
    /** Where its configuration and, in `data`, its database is. */
    readonly directory: string,
    /** `http://127.0.0.1:<port>` */
    readonly url: string,
  ) {}

  /** Starts it and waits until its first scrape of `target`, host and port, has succeeded. */
  static start(target: string): Promise<Prometheus> {
    return Prometheus.startJobs([{ job_name: "kpod-metrics", static_configs: [{ targets: [target] }] }]);
  }

  /** Starts it with these jobs, rule files and flags, and waits until a first scrape has succeeded. */
  static async startJobs(
    jobs: readonly ScrapeJob[],
    ruleFiles: readonly string[] = [],
    flags: readonly string[] = [],
  ): Promise<Prometheus> {
    const directory = await Deno.makeTempDir({ prefix: "kpod-prometheus-" });
    const address = `127.0.0.1:${freePort()}`;
    const config = {
      global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
      rule_files: ruleFiles,
      scrape_configs: jobs,
    };
    // JSON is YAML.
    await Deno.writeTextFile(`${directory}/prometheus.yml`, JSON.stringify(config));
    const process = new Deno.Command("prometheus", {
      args: [
        `--config.file=${directory}/prometheus.yml`,
        `--storage.tsdb.path=${directory}/data`,
        `--web.listen-address=${address}`,
        "--log.level=warn",
        ...flags,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    const prometheus = new Prometheus(process, directory, `http://${address}`);
    try {
      await eventually("Prometheus scrapes the agent", async () => {
        const [up] = await prometheus.query("up == 1").catch(() => []);
        return up !== undefined || "none";
      });
      return prometheus;
    } catch (error) {
      await prometheus[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Evaluates PromQL at a time in milliseconds since the epoch, now by default; throws its complaint. */
  async query(query: string, time = Date.now()): Promise<QueriedSeries[]> {
    const parameters = new URLSearchParams({ query, time: String(time / 1_000) });
    const response = await fetch(`${this.url}/api/v1/query?${parameters}`);
    const { data, error } = await response.json() as Answer;
    if (data === undefined) throw new Error(`Cannot query ${query}: got ${error}`);
    return data.result.map(({ metric, value, values = value === undefined ? [] : [value] }) => ({
      labels: metric,
      samples: values.map(([seconds, text]) => [seconds * 1_000, Number(text)] as const),
    }));
  }

  /** The one number that a query answers; NaN where it answers none. */
  async number(query: string, time = Date.now()): Promise<number> {
    const [first, ...more] = await this.query(query, time);
    if (more.length > 0) throw new Error(`Cannot read one number of ${query}: got ${more.length + 1}`);
    return first?.samples[0]?.[1] ?? NaN;
  }

  /** Waits until it has a sample of a time later than now. */
  async scraped(): Promise<void> {
    const began = Date.now();
    await eventually("the next scrape", async () => {
      const [up] = await this.query("up[10s]");
      const last = up?.samples.at(-1)?.[0] ?? 0;
      return last > began || `last one ${began - last} ms ago`;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.process.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.process.status;
    await Deno.remove(this.directory, { recursive: true });
  }
}
