import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import type { LogFields, Logger } from "../../src/log.ts";
import { CONTENT_TYPES, type ExpositionFormat } from "../../src/metrics/registry.ts";
import { handler, type ServerDependencies, type StatusPage } from "../../src/server.ts";

const STATUS: StatusPage = {
  version: "1.2.3",
  profile: "standard",
  kernel: "6.12.1-cloud",
  uptimeSeconds: 61.9,
  targets: 7,
  collectors: [{ name: "tcp", up: false, detail: '<script>alert("1")</script> & more' }],
  signals: [
    { signal: "rtt", state: "attached", hook: "tp_btf/tcp_probe", reason: "" },
    { signal: "oom", state: "unavailable", hook: "", reason: "the kernel's too old" },
  ],
};

/** Dependencies that answer with the format they were asked for, and what they logged. */
function fakeAgent(change: Partial<ServerDependencies> = {}) {
  const logged: { message: string; fields: LogFields | undefined }[] = [];
  const record = (message: string, fields?: LogFields) => void logged.push({ message, fields });
  const log: Logger = { debug: record, info: record, warn: record, error: record };
  const deps: ServerDependencies = {
    async *metrics(format: ExpositionFormat) {
      yield `# ${format}\n`;
    },
    readiness: () => ({ ready: true, reasons: [] }),
    status: () => STATUS,
    log,
    ...change,
  };
  const answer = handler(deps);
  const request = (path: string, init?: RequestInit) => answer(new Request(`http://node1:9090${path}`, init));
  return { logged, request };
}

/** Metrics of an agent with a bug that shows when some of the text is made. */
async function* failing(): AsyncGenerator<string> {
  yield "kpod_x 1\n";
  throw new TypeError("x is undefined");
}

const PROMETHEUS_2 =
  "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;" +
  "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
const PROMETHEUS_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
  "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4," +
  "text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
const BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

for (
  const [accept, format] of [
    [undefined, "prometheus"],
    ["*/*", "prometheus"],
    [BROWSER, "prometheus"],
    [PROMETHEUS_2, "openmetrics"],
    [PROMETHEUS_3, "openmetrics"],
    ["text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "prometheus"],
    ["application/openmetrics-text;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.5", "prometheus"],
    ["application/openmetrics-text;q=0,*/*", "prometheus"],
    ["application/openmetrics-text; version=0.0.1", "prometheus"],
    ['Application/OpenMetrics-Text; Version="1.0.0"; Q=0.9, text/*;q=0.8', "openmetrics"],
    ["application/openmetrics-text", "openmetrics"],
    ["application/openmetrics-text;q=0.5,text/plain;q=0", "openmetrics"],
    ["application/json", "prometheus"],
    ["application/openmetrics-text;q=high,,;", "prometheus"],
  ] as const
) {
  Deno.test(`Accept: ${accept ?? "nothing"} gets the ${format} format`, async () => {
    const { request } = fakeAgent();
    for (const path of ["/metrics", "/actuator/prometheus", "/metrics?ignored=1"]) {
      const response = await request(path, accept === undefined ? {} : { headers: { Accept: accept } });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("Content-Type"), CONTENT_TYPES[format]);
      assert.equal(response.headers.get("Vary"), "Accept, Accept-Encoding");
      assert.equal(await response.text(), `# ${format}\n`);
    }
  });
}

for (
  const [acceptEncoding, compressed] of [
    [undefined, false],
    ["gzip", true],
    ["br, GZIP;q=0.5", true],
    ["*", true],
    ["gzip;q=0, *", false],
    ["gzip;q=0.0", false],
    ["identity, deflate", false],
  ] as const
) {
  Deno.test(`Accept-Encoding: ${acceptEncoding ?? "nothing"} ${compressed ? "gets" : "refuses"} gzip`, async () => {
    const text = "kpod_x 1\n".repeat(10_000);
    const { request } = fakeAgent({
      async *metrics() {
        yield* text.split(/(?<=\n)/);
      },
    });
    const headers: HeadersInit = acceptEncoding === undefined ? {} : { "Accept-Encoding": acceptEncoding };
    const response = await request("/metrics", { headers });
    const body = new Uint8Array(await response.arrayBuffer());
    assert.equal(response.headers.get("Content-Encoding"), compressed ? "gzip" : null);
    assert.equal(response.headers.get("Vary"), "Accept, Accept-Encoding");
    assert.equal(new TextDecoder().decode(compressed ? gunzipSync(body) : body), text);
    assert.equal(body.length < text.length, compressed);
  });
}

Deno.test("who asks for what is being made for another gets the same, later ones what is new", async () => {
  const made: string[] = [];
  const goOn = Promise.withResolvers<void>();
  const { request } = fakeAgent({
    async *metrics(format) {
      made.push(format);
      const text = `kpod_x ${made.length}\n`;
      await goOn.promise;
      yield text;
    },
  });
  const openMetrics = { headers: { Accept: "application/openmetrics-text" } };
  const together = [request("/metrics"), request("/actuator/prometheus"), request("/metrics", openMetrics)];
  goOn.resolve();
  const texts = await Promise.all(together.map(async (response) => await (await response).text()));
  assert.deepEqual(texts, ["kpod_x 1\n", "kpod_x 1\n", "kpod_x 2\n"]);
  assert.equal(await (await request("/metrics")).text(), "kpod_x 3\n");
  assert.deepEqual(made, ["prometheus", "openmetrics", "prometheus"]);
});

Deno.test("after a failure the next request is answered", async () => {
  let fails = true;
  const { request } = fakeAgent({
    async *metrics(format) {
      yield* fails ? failing() : [`# ${format}\n`];
    },
  });
  const failed = await Promise.all([request("/metrics"), request("/metrics")]);
  assert.deepEqual(failed.map(({ status }) => status), [500, 500]);
  fails = false;
  assert.equal(await (await request("/metrics")).text(), "# prometheus\n");
});

Deno.test("HEAD answers as GET does, without the body", async () => {
  const { request } = fakeAgent();
  for (const path of ["/", "/metrics", "/healthz", "/readyz", "/nowhere"]) {
    const get = await request(path);
    const head = await request(path, { method: "HEAD" });
    assert.equal(head.status, get.status);
    assert.deepEqual([...head.headers], [...get.headers]);
    assert.equal(Number(head.headers.get("Content-Length")), (await get.arrayBuffer()).byteLength);
    assert.equal(head.body, null);
  }
});

Deno.test("other methods are refused where something is served", async () => {
  const { request } = fakeAgent();
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    const response = await request("/metrics", { method });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("Allow"), "GET, HEAD");
  }
});

Deno.test("an unknown path names the known ones", async () => {
  const { request } = fakeAgent();
  for (const path of ["/metric", "/metrics/", "//metrics", "/debug/pprof"]) {
    const response = await request(path);
    assert.equal(response.status, 404);
    assert.match(await response.text(), /\/, \/metrics, \/actuator\/prometheus, \/healthz, \/readyz/);
  }
});

Deno.test("/healthz says ok, even when the agent is not ready", async () => {
  const { request } = fakeAgent({ readiness: () => ({ ready: false, reasons: ["no cycle yet"] }) });
  const response = await request("/healthz");
  assert.deepEqual([response.status, await response.text()], [200, "ok\n"]);
});

for (
  const [readiness, status, body] of [
    [{ ready: true, reasons: [] }, 200, "ready\n"],
    [{ ready: false, reasons: ["no cycle yet", "kubelet: 401"] }, 503, "no cycle yet\nkubelet: 401\n"],
  ] as const
) {
  Deno.test(`/readyz answers ${status} when the agent is ${readiness.ready ? "" : "not "}ready`, async () => {
    const response = await fakeAgent({ readiness: () => readiness }).request("/readyz");
    assert.deepEqual([response.status, await response.text()], [status, body]);
  });
}

for (
  const [path, change] of [
    ["/metrics", { metrics: failing }],
    ["/readyz", {
      readiness: () => {
        throw new TypeError("x is undefined");
      },
    }],
  ] as const
) {
  Deno.test(`a bug behind ${path} is one line to the client and the whole story in the log`, async () => {
    const { logged, request } = fakeAgent(change);
    const response = await request(path);
    assert.equal(response.status, 500);
    const body = await response.text();
    assert.equal(body.split("\n").length, 2);
    assert.doesNotMatch(body, /undefined/);
    assert.deepEqual(logged.map(({ message, fields }) => [message, fields?.error]), [
      [`Cannot answer GET ${path}`, "x is undefined"],
    ]);
    assert.match(String(logged[0]?.fields?.stack), /server\.test\.ts/);
  });
}

Deno.test("a bug that every request meets is logged once a minute, for each path", async () => {
  const { logged, request } = fakeAgent({ metrics: failing });
  for (const path of ["/metrics", "/actuator/prometheus", "/metrics"]) await (await request(path)).text();
  assert.deepEqual(logged.map(({ message }) => message), [
    "Cannot answer GET /metrics",
    "Cannot answer GET /actuator/prometheus",
  ]);
});

Deno.test("the page says what runs, links the endpoints and loads nothing", async () => {
  const response = await fakeAgent().request("/");
  const html = await response.text();
  assert.equal(response.headers.get("Content-Type"), "text/html; charset=utf-8");
  assert.match(response.headers.get("Content-Security-Policy") ?? "", /^default-src 'none'/);
  for (const path of ["/metrics", "/healthz", "/readyz"]) {
    assert.ok(html.includes(`<a href="${path}">`), path);
  }
  for (
    const text of ["1.2.3", "standard", "6.12.1-cloud", "<td>61 s</td>", "<td>7</td>", "<td>down</td>"]
      .concat(["tp_btf/tcp_probe", "<td>unavailable</td>", "the kernel&#39;s too old"])
  ) assert.ok(html.includes(text), `no ${text} in ${html}`);
  assert.ok(html.includes("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; more"));
  assert.doesNotMatch(html, /<script|<link|<img|src=|https?:/);
});

Deno.test("the page of an agent that runs nothing says so", async () => {
  const status = () => ({ ...STATUS, collectors: [], signals: [] });
  const html = await (await fakeAgent({ status }).request("/")).text();
  assert.equal(html.split("<p>None.</p>").length - 1, 2);
});
