/** The guarded endpoint as a whole: an agent with its permissions, asked by a real Prometheus and others. */
import assert from "node:assert/strict";
import { Authority } from "../lab/authority.ts";
import { AgentProcess, eventually, type Labels, runAgent, Scrape } from "./agent.ts";
import { isOnPath, Prometheus, type ScrapeJob } from "./prometheus.ts";

/** Settings good enough to be asked: neither kubelet nor cgroups have to be there. */
const ALONE = {
  NODE_NAME: "alone",
  KPOD_KUBELET_URL: "http://127.0.0.1:1",
  KPOD_PROFILE: "minimal",
  KPOD_BPF_ENABLED: "false",
};

/** Of `alice123` and `bob123`. */
const ALICE = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze";
const BOB = "$2y$10$hLqFl9jSjoAAy95Z/zw8Ye8wkdMBM8c5Bn1ptYqP/AXyV0.oy0S8m";

const SERVER_NAME = "kpod-metrics.example";
const needsPrometheus = { ignore: !isOnPath("prometheus") };

/** A directory with a web configuration, an authority, and what that signed for a server and a client. */
class WebFiles implements AsyncDisposable {
  private constructor(readonly authority: Authority) {}

  static async create(config: string): Promise<WebFiles> {
    const files = new WebFiles(await Authority.create());
    await files.renew();
    await files.authority.sign("client", { names: "DNS:prometheus.example", usage: "clientAuth" });
    await files.write(config);
    return files;
  }

  async renew(): Promise<void> {
    await this.authority.sign("tls", { names: `DNS:${SERVER_NAME},DNS:localhost,IP:127.0.0.1` });
  }

  async write(config: string): Promise<void> {
    await Deno.writeTextFile(this.path, config);
  }

  get path(): string {
    return this.authority.path("web.yml");
  }

  get settings(): Labels {
    return { ...ALONE, KPOD_WEB_CONFIG_FILE: this.path };
  }

  /** A client that trusts the authority, with the certificate it has made for one or without. */
  client(withCertificate = false): Deno.HttpClient {
    const [cert, key] = ["client.crt", "client.key"].map((name) =>
      Deno.readTextFileSync(this.authority.path(name))
    );
    return Deno.createHttpClient({
      caCerts: [this.authority.certificate],
      ...(withCertificate ? { cert: cert ?? "", key: key ?? "" } : {}),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.authority[Symbol.asyncDispose]();
  }
}

const TLS = "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n";
const MUTUAL = `${TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n`;
const users = (table: Labels) =>
  `basic_auth_users:\n${Object.entries(table).map(([name, hash]) => `  ${name}: ${hash}\n`).join("")}`;

const basic = (credentials: string) => ({ Authorization: `Basic ${btoa(credentials)}` });

/** What the agent answers: its status, and its text. */
async function ask(
  agent: AgentProcess,
  path: string,
  { client, headers = {} }: { client?: Deno.HttpClient; headers?: HeadersInit } = {},
): Promise<[status: number, text: string]> {
  const response = await fetch(`${agent.url}${path}`, { headers, ...client === undefined ? {} : { client } });
  return [response.status, await response.text()];
}

function job(agent: AgentProcess, files: WebFiles, change: Partial<ScrapeJob>): ScrapeJob {
  return {
    job_name: "kpod-metrics",
    scheme: "https",
    tls_config: { ca_file: files.authority.path("ca.crt"), server_name: SERVER_NAME },
    static_configs: [{ targets: [new URL(agent.url).host] }],
    ...change,
  };
}

Deno.test(
  "Prometheus scrapes by its basic_auth and tls_config, over an exchange of all of it",
  needsPrometheus,
  async () => {
    await using files = await WebFiles.create(TLS + users({ alice: ALICE }));
    await using agent = await AgentProcess.start(files.settings);
    const alice = job(agent, files, { basic_auth: { username: "alice", password: "alice123" } });
    const bob = { ...alice, job_name: "bob", basic_auth: { username: "bob", password: "bob123" } };
    const stranger = { ...alice, job_name: "nobody", basic_auth: { username: "alice", password: "bob123" } };
    const { basic_auth: _, ...rest } = alice;
    const without = { ...rest, job_name: "without" };
    await using prometheus = await Prometheus.startJobs([alice, bob, stranger, without]);
    await prometheus.scraped();
    assert.equal(await prometheus.number('kpod_web_config_last_reload_successful{job="kpod-metrics"}'), 1);
    const up = async () => {
      const series = await prometheus.query("up");
      return series.map(({ labels, samples }) => `${labels["job"]} ${samples[0]?.[1]}`).toSorted().join();
    };
    const becomes = (expected: string) =>
      eventually(expected, async () => {
        const now = await up();
        return now === expected || now;
      }, { detail: () => agent.log });
    await becomes("bob 0,kpod-metrics 1,nobody 0,without 0");

    await files.renew();
    await files.write(TLS + users({ bob: BOB }));
    await becomes("bob 1,kpod-metrics 0,nobody 0,without 0");
    assert.match(agent.log, /the web configuration was read anew/);
    assert.doesNotMatch(agent.log, /alice|bob|\$2y/);
  },
);

Deno.test(
  "Prometheus scrapes by its client certificate, and nobody without one",
  needsPrometheus,
  async () => {
    await using files = await WebFiles.create(MUTUAL);
    await using agent = await AgentProcess.start(files.settings);
    const at = (name: string) => files.authority.path(name);
    const pair = { cert_file: at("client.crt"), key_file: at("client.key") };
    const server = { ca_file: at("ca.crt"), server_name: SERVER_NAME };
    await using prometheus = await Prometheus.startJobs([
      job(agent, files, { tls_config: { ...server, ...pair } }),
      job(agent, files, { job_name: "without" }),
    ]);
    await prometheus.scraped();
    assert.equal(await prometheus.number('up{job="without"}'), 0);
    using client = files.client();
    await assert.rejects(ask(agent, "/healthz", { client }));
  },
);

Deno.test("all but the probes' paths asks for a password, over TLS and without", async () => {
  for (const config of [users({ alice: ALICE }), TLS + users({ alice: ALICE })]) {
    await using files = await WebFiles.create(config);
    await using agent = await AgentProcess.start(files.settings);
    using client = files.client();
    assert.equal(new URL(agent.url).protocol, config.startsWith("tls") ? "https:" : "http:");
    assert.deepEqual(await ask(agent, "/healthz", { client }), [200, "ok\n"]);
    const [status, reasons] = await ask(agent, "/readyz", { client });
    assert.deepEqual([status, /kubelet/.test(reasons)], [503, true]);
    for (const path of ["/", "/metrics", "/actuator/prometheus", "/nowhere"]) {
      for (const headers of [{}, basic("alice:wrong"), basic("nobody:alice123")]) {
        assert.deepEqual(await ask(agent, path, { client, headers }), [401, "Unauthorized\n"], path);
      }
      const [status] = await ask(agent, path, { client, headers: basic("alice:alice123") });
      assert.equal(status, path === "/nowhere" ? 404 : 200);
    }
  }
});

Deno.test("a broken new file leaves the earlier in force, and is told until it is mended", async () => {
  await using files = await WebFiles.create(users({ alice: ALICE }));
  await using agent = await AgentProcess.start(files.settings);
  const headers = basic("alice:alice123");
  const successful = async () => {
    const [, text] = await ask(agent, "/metrics", { headers });
    return new Scrape(text).sum("kpod_web_config_last_reload_successful");
  };
  assert.equal(await successful(), 1);
  await files.write("basic_auth_users:\n  alice: alice123\n");
  await eventually("it is told", async () => await successful() === 0 || "not yet", {
    detail: () => agent.log,
  });
  assert.match(agent.log, /cannot use the new web configuration; the earlier stays in force/);
  assert.doesNotMatch(agent.log, /alice123/);
  await files.write(users({ alice: ALICE, bob: BOB }));
  await eventually("it is mended", async () => await successful() === 1 || "not yet");
  assert.equal((await ask(agent, "/metrics", { headers: basic("bob:bob123") }))[0], 200);
});

Deno.test("a file that cannot be used ends the agent with what is wrong, and no trace", async () => {
  await using files = await WebFiles.create(
    "tls_server_config: {cert_file: none.crt, key_file: tls.key, cipher_suites: [A]}",
  );
  const { code, log } = await runAgent(files.settings);
  assert.equal(code, 2, log);
  assert.match(
    log,
    /Cannot use the web configuration \S+web\.yml:\n {2}tls_server_config\.cipher_suites: they cannot/,
  );
  assert.doesNotMatch(log, /\n\s+at /);
});
