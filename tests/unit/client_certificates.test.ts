/** The names in certificates, and which clients are let in by them. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { alternativeNames } from "../../src/web/alternative_names.ts";
import { ClientCertificates, type ClientSocket } from "../../src/web/client_certificates.ts";
import { Authority } from "../lab/authority.ts";

const authority = await Authority.create();
Deno.test.afterAll(() => authority[Symbol.asyncDispose]());

async function certificate(names?: string): Promise<X509Certificate> {
  const options = { usage: "clientAuth", ...(names === undefined ? {} : { names }) } as const;
  return new X509Certificate((await authority.sign("client", options)).certificate);
}

for (
  const [names, expected] of [
    [undefined, []],
    ["DNS:a.example", ["a.example"]],
    ["DNS:a.example,DNS:*.b.example", ["a.example", "*.b.example"]],
    ["email:a@b.example,URI:spiffe://trust/ns/monitoring", ["a@b.example", "spiffe://trust/ns/monitoring"]],
    ["IP:10.0.0.9,IP:fd00::0:1", ["10.0.0.9", "fd00::1"]],
    ["RID:1.2.3.4,DNS:a.example", ["a.example"]],
    // One name each, whatever it looks like.
    ["@names\n[names]\nURI.1=http://x/, DNS:prometheus", ["http://x/, DNS:prometheus"]],
    [`DNS:${"a".repeat(50)}.${"b".repeat(50)}.${"c".repeat(50)}.example`, [
      `${"a".repeat(50)}.${"b".repeat(50)}.${"c".repeat(50)}.example`,
    ]],
  ] as const
) {
  Deno.test(`names of a certificate with ${names ?? "none"}`, async () => {
    assert.deepEqual(alternativeNames((await certificate(names)).raw), expected);
  });
}

Deno.test("a certificate that is cut short is an error", async () => {
  const { raw } = await certificate("DNS:a.example");
  for (const length of [1, 2, 10, raw.length - 1]) {
    assert.throws(() => alternativeNames(raw.subarray(0, length)), RangeError, `${length}`);
  }
});

type Client = X509Certificate | undefined;

function socket(client: Client, { authorized = client !== undefined, resumed = false } = {}): ClientSocket {
  return { authorized, getPeerX509Certificate: () => client, isSessionReused: () => resumed };
}

const named = await certificate("DNS:prometheus.example,DNS:other.example");
const nameless = await certificate();
const REQUIRED = { clientAuth: "RequireAndVerifyClientCert", clientNames: undefined } as const;
const GIVEN = { clientAuth: "VerifyClientCertIfGiven", clientNames: undefined } as const;
const NAMED = { ...REQUIRED, clientNames: ["prometheus.example"] } as const;
const ANYBODY = { clientAuth: "NoClientCert", clientNames: undefined } as const;

for (
  const [what, settings, client, admitted] of [
    ["nobody is asked, and shows none", ANYBODY, socket(undefined), true],
    ["one is required, and shown", REQUIRED, socket(nameless), true],
    ["one is required, and not shown", REQUIRED, socket(undefined), false],
    [
      "one is required, and the runtime calls none authorized",
      REQUIRED,
      socket(undefined, { authorized: true }),
      false,
    ],
    ["one is required, and nobody vouches for it", REQUIRED, socket(nameless, { authorized: false }), false],
    ["one may be given, and is", GIVEN, socket(nameless), true],
    ["one may be given, and is not", GIVEN, socket(undefined), true],
    ["one may be given, and nobody vouches for it", GIVEN, socket(nameless, { authorized: false }), false],
    ["a name is required, and among its names", NAMED, socket(named), true],
    ["a name is required, and it has none", NAMED, socket(nameless), false],
    [
      "a session goes on that no present handshake began",
      REQUIRED,
      socket(nameless, { resumed: true }),
      false,
    ],
    [
      "a session goes on without one",
      REQUIRED,
      socket(undefined, { authorized: true, resumed: true }),
      false,
    ],
  ] as const
) {
  Deno.test(`a client is ${admitted ? "let in" : "sent away"} where ${what}`, () => {
    assert.equal(new ClientCertificates(settings).admits(client), admitted);
  });
}

Deno.test("a name is required exactly", async () => {
  const clients = new ClientCertificates({ ...REQUIRED, clientNames: ["prometheus.example"] });
  for (const names of ["DNS:*.example", "DNS:Prometheus.example", "URI:http://x/, DNS:prometheus.example"]) {
    assert.equal(
      clients.admits(socket(await certificate(`@n\n[n]\n${names.replace(":", ".1=")}`))),
      false,
      names,
    );
  }
});

Deno.test("a session goes on once a handshake has verified its certificate under the same settings", () => {
  const clients = new ClientCertificates(REQUIRED);
  assert.ok(clients.admits(socket(nameless)));
  assert.ok(clients.admits(socket(nameless, { resumed: true })));
  assert.ok(!clients.admits(socket(named, { resumed: true })), "another's");
  assert.ok(!new ClientCertificates(REQUIRED).admits(socket(nameless, { resumed: true })), "other settings");
});

Deno.test("a session does not outlive its certificate", () => {
  let now = Date.now();
  const clients = new ClientCertificates(REQUIRED, () => now);
  assert.ok(clients.admits(socket(nameless)));
  now += 3 * 86_400_000;
  assert.ok(!clients.admits(socket(nameless, { resumed: true })));
  now -= 6 * 86_400_000;
  assert.ok(!clients.admits(socket(nameless)), "before its time");
});
