/** The format of the web configuration file: what it means, and what is refused in which words. */
import assert from "node:assert/strict";
import { parseWebConfig, type TlsConfig, type WebConfig } from "../../src/web/web_config.ts";
import { WebConfigProblems } from "../../src/web/web_config_error.ts";

const HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";
const PAIR = "cert_file: tls.crt, key_file: tls.key";
const TLS: TlsConfig = {
  cert: { path: "tls.crt" },
  key: { path: "tls.key" },
  clientCa: undefined,
  clientAuth: "NoClientCert",
  clientNames: undefined,
  minVersion: "TLS12",
  maxVersion: "TLS13",
};
const NOTHING: WebConfig = { tls: undefined, headers: {}, users: new Map() };
const tls = (change: Partial<TlsConfig> = {}): WebConfig => ({ ...NOTHING, tls: { ...TLS, ...change } });

const READ: readonly (readonly [text: string, config: WebConfig])[] = [
  [`tls_server_config: {${PAIR}}`, tls()],
  [`tls_server_config: {${PAIR}, client_ca_file: "", cipher_suites: "", client_auth_type: ""}`, tls()],
  [`tls_server_config: {${PAIR}}\nhttp_server_config:\nbasic_auth_users:\nrate_limit:`, tls()],
  [
    `tls_server_config: {${PAIR}, min_version: TLS13, prefer_server_cipher_suites: true}`,
    tls({ minVersion: "TLS13" }),
  ],
  [`tls_server_config: {${PAIR}, max_version: TLS12}`, tls({ maxVersion: "TLS12" })],
  [`tls_server_config: {${PAIR}, client_auth_type: NoClientCert}`, tls()],
  [
    "tls_server_config: {cert: '-----BEGIN A', key: '-----BEGIN B'}",
    tls({ cert: { text: "-----BEGIN A" }, key: { text: "-----BEGIN B" } }),
  ],
  [
    `tls_server_config: {${PAIR}, client_ca_file: ca.crt, client_auth_type: VerifyClientCertIfGiven}`,
    tls({ clientCa: { path: "ca.crt" }, clientAuth: "VerifyClientCertIfGiven" }),
  ],
  [
    `tls_server_config: {${PAIR}, client_ca: '-----BEGIN C', client_auth_type: RequireAndVerifyClientCert, ` +
    "client_allowed_sans: [a.example, 10.0.0.1]}",
    tls({
      clientCa: { text: "-----BEGIN C" },
      clientAuth: "RequireAndVerifyClientCert",
      clientNames: ["a.example", "10.0.0.1"],
    }),
  ],
  [`basic_auth_users: {alice: ${HASH}}`, { ...NOTHING, users: new Map([["alice", HASH]]) }],
  // What other readers of YAML take for a truth and a number.
  [`basic_auth_users: {on: ${HASH}, 007: ${HASH}}`, {
    ...NOTHING,
    users: new Map([["on", HASH], ["007", HASH]]),
  }],
  ...["$2a$04$", "$2b$16$", "$2y$12$"].map((begin) => {
    const hash = begin + HASH.slice(begin.length);
    return [`basic_auth_users: {alice: ${hash}}`, { ...NOTHING, users: new Map([["alice", hash]]) }] as const;
  }),
  ["http_server_config: {http2: false}", NOTHING],
  [
    "http_server_config: {headers: {X-Frame-Options: deny, X-Content-Type-Options: nosniff, X-XSS-Protection: '', " +
    "Strict-Transport-Security: max-age=60, Content-Security-Policy: default-src 'self'}}",
    {
      ...NOTHING,
      headers: {
        "X-Frame-Options": "deny",
        "X-Content-Type-Options": "nosniff",
        "Strict-Transport-Security": "max-age=60",
        "Content-Security-Policy": "default-src 'self'",
      },
    },
  ],
];

for (const [text, config] of READ) {
  Deno.test(`web configuration: ${text.replaceAll("\n", " ")}`, () => {
    assert.deepEqual(parseWebConfig(text), config);
  });
}

const CLIENT_AUTH = "tls_server_config.client_auth_type";
const BCRYPT = "takes a bcrypt hash of a cost from 4 to 16, as `htpasswd -nBC 10 NAME` makes it";

const REFUSED: readonly (readonly [text: string, ...problems: (string | RegExp)[]])[] = [
  ["", "not YAML: expected a document, but the input is empty; mend that"],
  ["# nothing", "not YAML: expected a document, but the input is empty; mend that"],
  ["tls_server_config:", "got nothing; set tls_server_config or basic_auth_users"],
  ["basic_auth_users: {}", "got nothing; set tls_server_config or basic_auth_users"],
  ["- a", "got no map, takes one with tls_server_config or basic_auth_users"],
  ["text", "got no map, takes one with tls_server_config or basic_auth_users"],
  ["a: 1\na: 2", "not YAML: duplicated mapping key in line 2, column 1; mend that"],
  ["a: [", /^not YAML: .* in line \d+, column \d+; mend that$/],
  ["basic_auth_user: {}", "basic_auth_user: no such key; did you mean basic_auth_users?"],
  ["constructor: 1", "constructor: no such key"],
  ["__proto__: 1", "__proto__: no such key"],
  [
    `tls_server_config: {${PAIR}, cert_fil: a}`,
    "tls_server_config.cert_fil: no such key; did you mean tls_server_config.cert_file?",
  ],
  ["tls_server_config: [a]", "tls_server_config: takes a map"],
  [
    "tls_server_config: {cert_file: [a], key_file: b}",
    "tls_server_config.cert_file: takes a path",
    /cert_file: not set/,
  ],
  [
    "tls_server_config: {key_file: b}",
    "tls_server_config.cert_file: not set; set it to the server's certificate",
  ],
  [
    "tls_server_config: {cert_file: b}",
    "tls_server_config.key_file: not set; set it to the certificate's key",
  ],
  ["tls_server_config: {min_version: TLS13}", /cert_file: not set/, /key_file: not set/],
  [
    `tls_server_config: {${PAIR}, min_version: TLS10}`,
    'tls_server_config.min_version: got "TLS10", takes TLS12 or TLS13; older versions are not secure, and not spoken here',
  ],
  [
    `tls_server_config: {${PAIR}, min_version: TLS13, max_version: TLS12}`,
    'tls_server_config.min_version: got "TLS13", takes TLS12 with that max_version',
  ],
  [
    `tls_server_config: {${PAIR}, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]}`,
    /^tls_server_config\.cipher_suites: they cannot be chosen here; leave it out .*, or set min_version to TLS13 instead$/,
  ],
  [
    `tls_server_config: {${PAIR}, curve_preferences: [X25519]}`,
    /^tls_server_config\.curve_preferences: they cannot be chosen here; leave it out/,
  ],
  ["rate_limit: {interval: 1s, burst: 20}", /^rate_limit: it is not there here; leave it out/],
  [
    "http_server_config: {http2: true}",
    'http_server_config.http2: got "true", takes false; HTTP/1.1 is what is spoken here',
  ],
  [
    "http_server_config: {headers: {X-Frame-Options: allow, Server: me}}",
    'http_server_config.headers.X-Frame-Options: got "allow", takes deny or sameorigin',
    "http_server_config.headers.Server: no such key",
  ],
  [
    'http_server_config: {headers: {X-XSS-Protection: "1\\r\\nSet-Cookie: a"}}',
    'http_server_config.headers.X-XSS-Protection: got "1\\r\\nSet-Cookie: a", takes printable ASCII',
  ],
  ...["RequestClientCert", "RequireAnyClientCert", "RequireClientCert", "Any"].map((type) =>
    [
      `tls_server_config: {${PAIR}, client_ca_file: c, client_auth_type: ${type}}`,
      `${CLIENT_AUTH}: got "${type}", takes NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert; ` +
      "the other types verify no certificate",
      /^tls_server_config\.client_auth_type: got "NoClientCert" with a client_ca_file/,
    ] as const
  ),
  [
    `tls_server_config: {${PAIR}, client_ca_file: c}`,
    `${CLIENT_AUTH}: got "NoClientCert" with a client_ca_file; set RequireAndVerifyClientCert, or leave that out`,
  ],
  [
    `tls_server_config: {${PAIR}, client_auth_type: RequireAndVerifyClientCert}`,
    "tls_server_config.client_ca_file: not set; set it to the authority of the clients' certificates, or leave " +
    "client_auth_type out",
  ],
  [
    `tls_server_config: {${PAIR}, client_ca_file: c, client_auth_type: VerifyClientCertIfGiven, client_allowed_sans: [a]}`,
    `${CLIENT_AUTH}: got "VerifyClientCertIfGiven", takes RequireAndVerifyClientCert with client_allowed_sans`,
  ],
  [
    `tls_server_config: {${PAIR}, client_allowed_sans: a}`,
    "tls_server_config.client_allowed_sans: takes a list of names",
  ],
  [
    "tls_server_config: {cert: '-----BEGIN A', cert_file: a, key_file: b}",
    "tls_server_config.cert: got both it and cert_file; leave one of them out",
  ],
  ["basic_auth_users: [alice]", "basic_auth_users: takes a map of names to bcrypt hashes"],
  [`basic_auth_users: {"a:b": ${HASH}}`, 'basic_auth_users: got the name "a:b", takes names without a colon'],
  ...[
    "hunter2",
    "",
    "[hunter2]",
    "$2y$17$" + HASH.slice(7),
    "$2y$03$" + HASH.slice(7),
    "$2x$10$" + HASH.slice(7),
  ].map(
    (hash) =>
      [
        `basic_auth_users: {alice: ${hash}}`,
        `basic_auth_users.alice: got something else, ${BCRYPT}`,
      ] as const,
  ),
];

for (const [text, ...problems] of REFUSED) {
  Deno.test(`refused web configuration: ${JSON.stringify(text)}`, () => {
    const found = problemsOf(text);
    assert.equal(found.length, problems.length, found.join("\n"));
    problems.forEach((problem, index) => {
      if (typeof problem === "string") assert.equal(found[index], problem);
      else assert.match(found[index] ?? "", problem);
    });
  });
}

for (
  const text of [
    "basic_auth_users: {alice: hunter2}",
    "basic_auth_users: {alice: *hunter2}",
    "basic_auth_users: {alice: !hunter2 x}",
    "basic_auth_users: {alice: 'x' hunter2}",
    "tls_server_config: {key: hunter2, cert: hunter2}",
  ]
) {
  Deno.test(`what may be a secret is not in a message: ${text}`, () => {
    assert.doesNotMatch(problemsOf(text).join("\n"), /hunter2/);
  });
}

function problemsOf(text: string): readonly string[] {
  try {
    parseWebConfig(text);
  } catch (error) {
    if (error instanceof WebConfigProblems) return error.problems;
    throw error;
  }
  return assert.fail("it was taken");
}
