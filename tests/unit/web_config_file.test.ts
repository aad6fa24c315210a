/** The web configuration file with the files it names: taken at the start, exchanged while the agent runs. */
import assert from "node:assert/strict";
import type { LogFields, Logger } from "../../src/log.ts";
import { NativeError } from "../../src/native/error.ts";
import { WebConfigError } from "../../src/web/web_config_error.ts";
import { WebConfigFile } from "../../src/web/web_config_file.ts";
import type { WebSettings } from "../../src/web/web_settings.ts";
import { Authority, type Pair } from "../lab/authority.ts";

const HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";

const authority = await Authority.create();
Deno.test.afterAll(() => authority[Symbol.asyncDispose]());
const [first, second] = [await authority.sign("first"), await authority.sign("second")];

/** Files that a test has in its hands, by their paths. */
function files(contents: Record<string, string>) {
  const logged: { message: string; fields: LogFields }[] = [];
  const record = (message: string, fields: LogFields = {}) => void logged.push({ message, fields });
  const log: Logger = { debug: record, info: record, warn: record, error: record };
  let now = 1_000_000;
  const open = () =>
    new WebConfigFile({
      path: "/etc/web/config.yml",
      log,
      now: () => now,
      readFile: (path) => {
        const text = contents[path];
        if (text === undefined) throw new NativeError(`read ${path}`, 2);
        return new TextEncoder().encode(text);
      },
    });
  return { contents, logged, open, wait: (ms: number) => now += ms };
}

function withPair(pair: Pair, config = "tls_server_config: {cert_file: tls.crt, key_file: /keys/tls.key}") {
  return {
    "/etc/web/config.yml": config,
    "/etc/web/tls.crt": pair.certificate,
    "/keys/tls.key": pair.key,
  };
}

Deno.test("relative paths lie beside the file, others are as they are", () => {
  const { settings } = files(withPair(first)).open();
  assert.deepEqual([settings.tls?.cert, settings.tls?.key], [first.certificate, first.key]);
  assert.deepEqual([settings.tls?.minVersion, settings.tls?.maxVersion], ["TLSv1.2", "TLSv1.3"]);
});

for (
  const [what, change, problem] of [
    ["no such file", { "/etc/web/config.yml": undefined }, /^Cannot read \/etc\/web\/config\.yml: ENOENT/],
    [
      "no such certificate",
      { "/etc/web/tls.crt": undefined },
      /^tls_server_config\.cert_file: Cannot read \/etc\/web\/tls\.crt: ENOENT .*; set it to a file this process may read$/,
    ],
    [
      "no certificate in it",
      { "/etc/web/tls.crt": first.key },
      /^tls_server_config\.cert_file \(tls\.crt\): got no certificate in PEM$/,
    ],
    [
      "a certificate that is none",
      { "/etc/web/tls.crt": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----" },
      /^tls_server_config\.cert_file \(tls\.crt\): got a certificate that cannot be read, number 1 in it$/,
    ],
    [
      "no key in it",
      { "/keys/tls.key": first.certificate },
      /^tls_server_config\.key_file \(\/keys\/tls\.key\): got no private key in PEM$/,
    ],
    [
      "a key that is none",
      { "/keys/tls.key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----" },
      /^tls_server_config\.key_file \(.*\): got a private key that cannot be read, takes RSA from 2048 bits on, EC on/,
    ],
    [
      "a key with a passphrase",
      { "/keys/tls.key": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----" },
      /^tls_server_config\.key_file \(.*\): got a key with a passphrase; take that off$/,
    ],
    [
      "another's key",
      { "/keys/tls.key": second.key },
      /^tls_server_config\.key_file \(.*\): got a key that is not the certificate's; set both to a pair$/,
    ],
    [
      "an authority that is none",
      {
        "/etc/web/config.yml":
          "tls_server_config: {cert_file: tls.crt, key_file: /keys/tls.key, client_ca_file: /keys/tls.key, " +
          "client_auth_type: RequireAndVerifyClientCert}",
      },
      /^tls_server_config\.client_ca_file \(\/keys\/tls\.key\): got no certificate in PEM$/,
    ],
  ] as const
) {
  Deno.test(`${what} is an error that says where`, () => {
    const contents = { ...withPair(first), ...change } as Record<string, string>;
    assert.throws(() => files(contents).open(), (error) => {
      assert.ok(error instanceof WebConfigError);
      assert.match(error.message, /^Cannot use the web configuration \/etc\/web\/config\.yml:\n/);
      assert.equal(error.problems.length, 1);
      assert.match(error.problems[0] ?? "", problem);
      return true;
    });
  });
}

for (
  const [key, problem] of [
    ["rsa:2048", undefined],
    ["rsa:1024", "a key of the type rsa of 1024 bits"],
    ["ec -pkeyopt ec_paramgen_curve:P-384", undefined],
    ["ec -pkeyopt ec_paramgen_curve:P-521", undefined],
    ["ec -pkeyopt ec_paramgen_curve:secp256k1", "a key of the type ec on secp256k1"],
    ["ed25519", undefined],
    ["ed448", "a key of the type ed448"],
  ] as const
) {
  Deno.test(`a key of ${key} is ${problem === undefined ? "taken" : "refused"}`, async () => {
    const { open } = files(withPair(await authority.sign("other", { key })));
    if (problem === undefined) assert.ok(open().settings.tls);
    else {assert.throws(
        open,
        RegExp(`got ${problem}, takes RSA from 2048 bits on, EC on P-256, P-384 or P-521, or Ed25519`),
      );}
  });
}

Deno.test("nothing happens while nothing changes", () => {
  const { open, logged, wait } = files(withPair(first));
  const file = open();
  wait(5_000);
  file.look(() => assert.fail("nothing changed"));
  assert.deepEqual(logged, []);
  assert.deepEqual(values(file), [1, 1_000]);
});

function values(file: WebConfigFile): (number | undefined)[] {
  return file.families().map(({ samples: [sample] }) =>
    sample !== undefined && "value" in sample ? sample.value : NaN
  );
}

Deno.test("a renewed pair is handed over, and told with its time", () => {
  const { open, contents, logged, wait } = files(withPair(first));
  const file = open();
  wait(5_000);
  Object.assign(contents, withPair(second));
  const handed: WebSettings[] = [];
  file.look((settings) => void handed.push(settings));
  assert.deepEqual(handed.map(({ tls }) => tls?.cert), [second.certificate]);
  assert.equal(file.settings.tls?.key, second.key);
  assert.deepEqual(logged, [
    { message: "the web configuration was read anew", fields: { file: "/etc/web/config.yml" } },
  ]);
  assert.deepEqual(values(file), [1, 1_005]);
});

for (
  const [what, broken, problem] of [
    ["a certificate without its key", { "/etc/web/tls.crt": second.certificate }, /not the certificate's/],
    ["a file that is gone", { "/etc/web/config.yml": undefined }, /ENOENT/],
    ["a file cut short", { "/etc/web/config.yml": "" }, /not YAML/],
    [
      "a file without TLS",
      { "/etc/web/config.yml": `basic_auth_users: {alice: ${HASH}}` },
      /went while the agent runs; restart/,
    ],
    ["a key that is gone", { "/keys/tls.key": undefined }, /key_file: Cannot read .* ENOENT/],
  ] as const
) {
  Deno.test(`${what} leaves the earlier in force, is logged once, and is mended by what comes next`, () => {
    const { open, contents, logged, wait } = files(withPair(first));
    const file = open();
    const never = () => assert.fail("it is not to be handed over");
    Object.assign(contents, broken);
    for (let time = 0; time < 3; time++) {
      wait(5_000);
      file.look(never);
    }
    assert.equal(file.settings.tls?.cert, first.certificate);
    assert.deepEqual(values(file), [0, 1_000]);
    assert.deepEqual(logged.map(({ message }) => message), [
      "cannot use the new web configuration; the earlier stays in force",
    ]);
    assert.match(String(logged[0]?.fields["problems"]), problem);
    Object.assign(contents, withPair(second));
    let handed = 0;
    file.look(() => void handed++);
    assert.deepEqual([handed, file.settings.tls?.cert, ...values(file)], [1, second.certificate, 1, 1_015]);
  });
}

Deno.test("TLS cannot come while the agent runs", () => {
  const { open, contents, logged } = files({ "/etc/web/config.yml": `basic_auth_users: {alice: ${HASH}}` });
  const file = open();
  Object.assign(contents, withPair(first));
  file.look(() => assert.fail("it is not to be handed over"));
  assert.match(
    String(logged[0]?.fields["problems"]),
    /^tls_server_config: came while the agent runs; restart it/,
  );
});

Deno.test("what the listener cannot use is no more in force than what cannot be read", () => {
  const { open, contents } = files(withPair(first));
  const file = open();
  Object.assign(contents, withPair(second));
  file.look(() => {
    throw new Error("key too small");
  });
  assert.equal(file.settings.tls?.cert, first.certificate);
  assert.equal(values(file)[0], 0);
});
