/** What the preflight says of the web configuration file. */
import assert from "node:assert/strict";
import { lookAtWebConfig } from "../../src/doctor/web_config.ts";
import { NativeError } from "../../src/native/error.ts";
import { Authority } from "../lab/authority.ts";
import { assertFinding, type Expected } from "./doctor_files.ts";

const HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";
const DAY_MS = 86_400_000;

const authority = await Authority.create();
Deno.test.afterAll(() => authority[Symbol.asyncDispose]());
const { certificate, key } = await authority.sign("server", { names: "DNS:agent.example", days: 30 });
const FILES: Readonly<Record<string, string>> = {
  "/w/tls.crt": certificate,
  "/w/tls.key": key,
  "/w/ca.crt": certificate,
};
const TLS = "cert_file: tls.crt, key_file: tls.key";

async function look(config: string, { now = Date.now(), fits = () => Promise.resolve(false) } = {}) {
  const readFile = (path: string) => {
    const text = path === "/w/web.yml" ? config : FILES[path];
    if (text === undefined) throw new NativeError(`read ${path}`, 2);
    return new TextEncoder().encode(text);
  };
  return await lookAtWebConfig("/w/web.yml", { readFile, passwordFits: fits }, now);
}

for (
  const [config, days, expected] of [
    [`basic_auth_users: {a: ${HASH}, b: ${HASH}}`, 0, ["ok", /^plain HTTP; users with passwords: 2$/]],
    [
      `tls_server_config: {${TLS}}`,
      0,
      [
        "ok",
        /^TLS by a certificate for DNS:agent\.example, valid to \d{4}-\d\d-\d\d \d\d:\d\d UTC; no client certificate asked; no password asked$/,
      ],
    ],
    [
      `tls_server_config: {${TLS}, client_ca_file: ca.crt, client_auth_type: RequireAndVerifyClientCert}\n` +
      `basic_auth_users: {a: ${HASH}}`,
      0,
      ["ok", /; client certificates required; users with passwords: 1$/],
    ],
    [`tls_server_config: {${TLS}}`, 24, ["warn", /: less than a week$/, /renewed in time/]],
    [`tls_server_config: {${TLS}}`, 31, ["fail", /: it has expired$/, /^renew it/]],
    ["tls_server_config: {cert_file: none, key_file: tls.key}", 0, [
      "fail",
      /cert_file: .*\/w\/none: ENOENT/,
      /^mend \/w\/web\.yml/,
    ]],
    ["a: 1", 0, ["fail", /^a: no such key$/, /^mend \/w\/web\.yml/]],
  ] as readonly (readonly [string, number, Expected])[]
) {
  Deno.test(`web configuration after ${days} days: ${config.replaceAll(HASH, "…").replaceAll("\n", " ")}`, async () => {
    const { finding, settings } = await look(config, { now: Date.now() + days * DAY_MS });
    assert.equal(finding.check, "web configuration");
    assertFinding(finding, expected);
    assert.equal(settings?.tls !== undefined, config.startsWith("tls") && !config.includes("none"));
  });
}

Deno.test("passwords that cannot be compared are a failure", async () => {
  const fits = () => Promise.reject(new NativeError("compare a password with its hash by libcrypt.so.1", 38));
  const { finding } = await look(`basic_auth_users: {a: ${HASH}}`, { fits });
  assertFinding(finding, ["fail", /libcrypt\.so\.1: ENOSYS .*; install the library/, /./]);
});
