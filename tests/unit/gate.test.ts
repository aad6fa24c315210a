/** What stands before every answer. */
import assert from "node:assert/strict";
import type { LogFields, Logger } from "../../src/log.ts";
import { type Gate, guarded } from "../../src/web/gate.ts";
import { WebGate } from "../../src/web/web_gate.ts";

const ASKED = { peer: "10.0.0.1", peerPort: 1, sent: Promise.resolve() };
const ok = () =>
  Promise.resolve(new Response("up 1\n", { headers: { "Content-Security-Policy": "default-src 'none'" } }));
const request = (path: string, headers: HeadersInit = {}) =>
  new Request(`https://localhost${path}`, { headers });

Deno.test("every answer says that its type is what it says, and that nobody is to keep it", async () => {
  const response = await guarded(ok)(request("/"), ASKED);
  assert.equal(response.headers.get("X-Content-Type-Options"), "nosniff");
  assert.equal(response.headers.get("Cache-Control"), "no-store");
  assert.equal(response.headers.get("Content-Security-Policy"), "default-src 'none'");
});

Deno.test("headers of the gate are those of every answer, in place of its own", async () => {
  const gate: Gate = {
    headers: { "Content-Security-Policy": "sandbox", "X-Frame-Options": "deny" },
    admit: () => Promise.resolve(new Response(null, { status: 401 })),
  };
  for (const [path, status] of [["/metrics", 401], ["/healthz", 200]] as const) {
    const response = await guarded(ok, gate)(request(path), ASKED);
    assert.equal(response.status, status);
    assert.equal(response.headers.get("Content-Security-Policy"), "sandbox");
    assert.equal(response.headers.get("X-Frame-Options"), "deny");
  }
});

for (
  const [path, isOpen] of [
    ["/healthz", true],
    ["/readyz", true],
    ["/readyz?verbose", true],
    ["/x/../healthz", true],
    ["/", false],
    ["/metrics", false],
    ["/actuator/prometheus", false],
    ["/nowhere", false],
    ["/healthz/", false],
    ["/healthz/../metrics", false],
    ["/healthz/%2e%2e/metrics", false],
    ["/metrics?/healthz", false],
    ["/metrics#/healthz", false],
    ["//healthz", false],
    ["/HEALTHZ", false],
  ] as const
) {
  Deno.test(`${path} is ${isOpen ? "open" : "guarded"}`, async () => {
    let asked = 0;
    const gate: Gate = {
      headers: {},
      admit: () => {
        asked++;
        return Promise.resolve(new Response(null, { status: 401 }));
      },
    };
    const response = await guarded(ok, gate)(request(path), ASKED);
    assert.deepEqual([response.status, asked], isOpen ? [200, 0] : [401, 1]);
  });
}

Deno.test("no more than 64 answers are under way, but those for probes; an answer is until it was sent", async () => {
  const answer = guarded(ok);
  const { promise: sent, resolve } = Promise.withResolvers<void>();
  for (let count = 0; count < 64; count++) {
    assert.equal((await answer(request("/metrics"), { ...ASKED, sent })).status, 200, `${count}`);
  }
  const response = await answer(request("/metrics"), ASKED);
  assert.deepEqual([response.status, response.headers.get("Retry-After")], [503, "1"]);
  assert.equal((await answer(request("/healthz"), ASKED)).status, 200);
  resolve();
  await sent;
  assert.equal((await answer(request("/metrics"), ASKED)).status, 200);
});

function logger() {
  const warnings: LogFields[] = [];
  const log = { warn: (_: string, fields: LogFields) => void warnings.push(fields) } as unknown as Logger;
  return { log, warnings };
}

const USERS = new Map([["alice", "hash of secret"]]);
const fits = (hash: string, password: Uint8Array) =>
  Promise.resolve(hash === `hash of ${new TextDecoder().decode(password)}`);
const as = (credentials: string) => request("/metrics", { Authorization: `Basic ${btoa(credentials)}` });

Deno.test("without users everybody is let in, with users those who know a password", async () => {
  const { log } = logger();
  const open = new WebGate({ headers: {}, users: new Map() }, fits, log);
  assert.equal(await open.admit(request("/metrics"), "10.0.0.1"), undefined);
  const gate = new WebGate({ headers: {}, users: USERS }, fits, log);
  assert.equal(await gate.admit(as("alice:secret"), "10.0.0.1"), undefined);
});

Deno.test("whoever is refused is told the same, whatever was wrong", async () => {
  const { log } = logger();
  const gate = new WebGate({ headers: {}, users: USERS }, fits, log);
  const answers = [];
  for (const asking of [request("/metrics"), as("alice:wrong"), as("nobody:secret"), as("nobody:wrong")]) {
    const response = await gate.admit(asking, "10.0.0.1") ?? assert.fail("let in");
    answers.push(JSON.stringify([response.status, [...response.headers], await response.text()]));
  }
  assert.deepEqual(new Set(answers).size, 1, answers.join("\n"));
  assert.match(answers[0] ?? "", /^\[401,.*www-authenticate.*Basic realm=/);
});

Deno.test("refusals are told once a minute, with their number and without names", async () => {
  const { log, warnings } = logger();
  const gate = new WebGate({ headers: {}, users: USERS }, fits, log);
  for (const name of ["a", "b", "c"]) await gate.admit(as(`${name}:wrong`), "10.0.0.9");
  assert.deepEqual(warnings, [{ refused: 1, latest: "10.0.0.9" }]);
});

Deno.test("other users take the place of the former at once; the same ones stay known", async () => {
  const { log } = logger();
  let compared = 0;
  const counted = (hash: string, password: Uint8Array) => {
    compared++;
    return fits(hash, password);
  };
  const gate = new WebGate({ headers: {}, users: USERS }, counted, log);
  await gate.admit(as("alice:secret"), "10.0.0.1");
  gate.use({ headers: { "X-Frame-Options": "deny" }, users: new Map(USERS) });
  assert.equal(await gate.admit(as("alice:secret"), "10.0.0.1"), undefined);
  assert.deepEqual([compared, gate.headers], [1, { "X-Frame-Options": "deny" }]);
  gate.use({ headers: {}, users: new Map([["alice", "hash of other"]]) });
  assert.equal((await gate.admit(as("alice:secret"), "10.0.0.1"))?.status, 401);
  assert.equal(await gate.admit(as("alice:other"), "10.0.0.1"), undefined);
});
