/**
 * The format of the web configuration file: that of Prometheus' exporter-toolkit, strictly. What this agent cannot do
 * as such a file asks for is an error, never done by halves.
 */
import { FAILSAFE_SCHEMA, load, YAMLException } from "js-yaml";
import { nearest } from "../nearest.ts";
import { WebConfigProblems } from "./web_config_error.ts";

/** A file as it is written, checked for its form. What is left out, or blank, is undefined. */
export interface WebConfig {
  /** Undefined for plain HTTP. */
  readonly tls: TlsConfig | undefined;
  /** Headers for every answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bcrypt hashes of the passwords by the users' names; empty for access without a password. */
  readonly users: ReadonlyMap<string, string>;
}

/** Texts in PEM, or the files that hold them, by paths as they are written. */
export interface TlsConfig {
  readonly cert: PemSource;
  readonly key: PemSource;
  readonly clientCa: PemSource | undefined;
  readonly clientAuth: ClientAuth;
  /** Of a client's certificate one name has to be among these. */
  readonly clientNames: readonly string[] | undefined;
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
}

export type PemSource = { readonly text: string } | { readonly path: string };

const CLIENT_AUTH = ["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] as const;
export type ClientAuth = (typeof CLIENT_AUTH)[number];
const VERSIONS = ["TLS12", "TLS13"] as const;
export type TlsVersion = (typeof VERSIONS)[number];

/** What a text may be. */
interface Rule {
  /** Completes "takes …". */
  readonly takes: string;
  readonly fits: RegExp;
  /** Not to be repeated in messages. */
  readonly isSecret?: true;
}

const PATH: Rule = { takes: "a path", fits: /./ };
const PEM: Rule = { takes: "text in PEM", fits: /-----BEGIN /, isSecret: true };
const PRINTABLE: Rule = { takes: "printable ASCII", fits: /^[\x20-\x7e]+$/ };

/** What each key takes. A list has `[]` behind its name. */
const RULES: ReadonlyMap<string, Rule> = new Map(Object.entries({
  "tls_server_config.cert": PEM,
  "tls_server_config.key": PEM,
  "tls_server_config.client_ca": PEM,
  "tls_server_config.cert_file": PATH,
  "tls_server_config.key_file": PATH,
  "tls_server_config.client_ca_file": PATH,
  "tls_server_config.client_auth_type": oneOf(CLIENT_AUTH, "; the other types verify no certificate"),
  "tls_server_config.client_allowed_sans[]": { takes: "a list of names", fits: /./ },
  "tls_server_config.min_version": oneOf(VERSIONS, "; older versions are not secure, and not spoken here"),
  "tls_server_config.max_version": oneOf(VERSIONS),
  // Without effect in Go as well, since 1.17.
  "tls_server_config.prefer_server_cipher_suites": oneOf(["true", "false"]),
  "http_server_config.http2": oneOf(["false"], "; HTTP/1.1 is what is spoken here"),
  "http_server_config.headers.Content-Security-Policy": PRINTABLE,
  "http_server_config.headers.X-Frame-Options": oneOf(["deny", "sameorigin"]),
  "http_server_config.headers.X-Content-Type-Options": oneOf(["nosniff"]),
  "http_server_config.headers.X-XSS-Protection": PRINTABLE,
  "http_server_config.headers.Strict-Transport-Security": PRINTABLE,
}));

/** The cost is what every wrong password takes: at 16 some seconds. */
const HASH: Rule = {
  takes: "a bcrypt hash of a cost from 4 to 16, as `htpasswd -nBC 10 NAME` makes it",
  fits: /^\$2[aby]\$(?:0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$/,
  isSecret: true,
};

/** Keys of the format that cannot be honoured, and what to do. */
const REFUSED: ReadonlyMap<string, string> = new Map(Object.entries({
  "tls_server_config.cipher_suites":
    "they cannot be chosen here; leave it out (TLS 1.2 is spoken with ECDHE and AES-GCM or ChaCha20-Poly1305 alone), or " +
    "set min_version to TLS13 instead",
  "tls_server_config.curve_preferences":
    "they cannot be chosen here; leave it out (offered are X25519, P-256 and P-384)",
  "rate_limit": "it is not there here; leave it out (no more than 64 requests are answered at a time)",
}));

const USERS = "basic_auth_users";
const KNOWN = [...RULES.keys(), ...REFUSED.keys(), USERS].map((key) => key.replace("[]", ""));

/** All of a file that is neither a map nor a list is text: what it means is for its rule to say. */
type Node = string | readonly Node[] | { readonly [key: string]: Node };

/**
 * Reads the text of a file.
 *
 * @throws {WebConfigProblems} with every problem; texts that may be secret are not in it.
 */
export function parseWebConfig(text: string): WebConfig {
  const node = parseYaml(text);
  const values = new Map<string, string>();
  const users = new Map<string, string>();
  const names: string[] = [];
  const problems = [...walk(node, "", { values, users, names })];
  const tls = tlsConfig(values, names, problems);
  // A file that is just being written must not open what it is to guard.
  if (problems.length === 0 && values.size === 0 && users.size === 0) {
    problems.push("got nothing; set tls_server_config or basic_auth_users");
  }
  if (problems.length > 0) throw new WebConfigProblems(problems);
  const prefix = "http_server_config.headers.";
  const headers = [...values].filter(([key]) => key.startsWith(prefix))
    .map(([key, value]) => [key.slice(prefix.length), value]);
  return { tls, headers: Object.fromEntries(headers), users };
}

function parseYaml(text: string): Node {
  const node = readYaml(text);
  if (typeof node === "object" && !Array.isArray(node)) return node;
  throw new WebConfigProblems(["got no map, takes one with tls_server_config or basic_auth_users"]);
}

function readYaml(text: string): Node {
  try {
    // All that is neither a map nor a list is text.
    return load(text, { schema: FAILSAFE_SCHEMA }) as Node;
  } catch (error) {
    const { mark, reason = "" } = error instanceof YAMLException ? error : {};
    // What it quotes may be a secret.
    const [unquoted = ""] = reason.split(/["<!]/);
    const place = mark === undefined ? "" : ` in line ${mark.line + 1}, column ${mark.column + 1}`;
    throw new WebConfigProblems([`not YAML: ${unquoted.trim() || "a mistake"}${place}; mend that`]);
  }
}

/** What was found, by its path in the file. */
interface Found {
  readonly values: Map<string, string>;
  readonly users: Map<string, string>;
  readonly names: string[];
}

/** Collects what is in `node`, and yields what is wrong. */
function* walk(node: Node, path: string, found: Found): Generator<string> {
  // Blank counts as left out.
  if (node === "" && path !== "") return;
  if (REFUSED.has(path)) yield `${path}: ${REFUSED.get(path)}`;
  else if (path === USERS) yield* usersOf(node, found.users);
  else if (RULES.has(`${path}[]`)) yield* namesOf(node, path, found.names);
  else if (RULES.has(path)) yield* valueOf(node, path, found.values);
  else if (path === "" || KNOWN.some((known) => known.startsWith(`${path}.`))) {
    yield* keysOf(node, path, found);
  } else yield `${path}: no such key${meant(path)}`;
}

function* keysOf(node: Node, path: string, found: Found): Generator<string> {
  if (typeof node !== "object" || Array.isArray(node)) yield `${path}: takes a map`;
  else {
    for (const [key, value] of Object.entries(node)) {
      yield* walk(value, path === "" ? key : `${path}.${key}`, found);
    }
  }
}

function* valueOf(node: Node, path: string, values: Map<string, string>): Generator<string> {
  const { takes, fits, isSecret } = RULES.get(path) ?? PATH;
  if (typeof node !== "string") yield `${path}: takes ${takes}`;
  else if (!fits.test(node)) {
    yield `${path}: got ${isSecret ? "something else" : quote(node)}, takes ${takes}`;
  } else values.set(path, node);
}

function* namesOf(node: Node, path: string, names: string[]): Generator<string> {
  const texts = Array.isArray(node) ? node.filter((name) => typeof name === "string" && name !== "") : [];
  if (Array.isArray(node) && texts.length === node.length) names.push(...texts);
  else yield `${path}: takes ${RULES.get(`${path}[]`)?.takes}`;
}

function* usersOf(node: Node, users: Map<string, string>): Generator<string> {
  if (typeof node !== "object" || Array.isArray(node)) {
    return yield `${USERS}: takes a map of names to bcrypt hashes`;
  }
  for (const [name, hash] of Object.entries(node)) {
    // What is before the first colon is what a client sends as the name.
    if (name === "" || name.includes(":")) {
      yield `${USERS}: got the name ${quote(name)}, takes names without a colon`;
    } else if (typeof hash !== "string" || !HASH.fits.test(hash)) {
      yield `${USERS}.${name}: got something else, takes ${HASH.takes}`;
    } else users.set(name, hash);
  }
}

function tlsConfig(
  values: ReadonlyMap<string, string>,
  names: readonly string[],
  problems: string[],
): TlsConfig | undefined {
  const get = (key: string) => values.get(`tls_server_config.${key}`);
  const has = [...values.keys()].some((key) => key.startsWith("tls_server_config.")) || names.length > 0;
  if (!has) return undefined;
  const source = (key: string): PemSource | undefined => {
    const [text, path] = [get(key), get(`${key}_file`)];
    if (text !== undefined && path !== undefined) {
      problems.push(`tls_server_config.${key}: got both it and ${key}_file; leave one of them out`);
    }
    return text !== undefined ? { text } : path !== undefined ? { path } : undefined;
  };
  const [cert, key, clientCa] = ["cert", "key", "client_ca"].map(source);
  const clientAuth = (get("client_auth_type") ?? "NoClientCert") as ClientAuth;
  const minVersion = (get("min_version") ?? "TLS12") as TlsVersion;
  const maxVersion = (get("max_version") ?? "TLS13") as TlsVersion;
  if (cert === undefined) {
    problems.push("tls_server_config.cert_file: not set; set it to the server's certificate");
  }
  if (key === undefined) {
    problems.push("tls_server_config.key_file: not set; set it to the certificate's key");
  }
  if (minVersion > maxVersion) {
    problems.push(
      `tls_server_config.min_version: got "${minVersion}", takes ${maxVersion} with that max_version`,
    );
  }
  problems.push(...clientProblems(clientAuth, clientCa !== undefined, names.length > 0));
  if (cert === undefined || key === undefined) return undefined;
  const clientNames = names.length > 0 ? names : undefined;
  return { cert, key, clientCa, clientAuth, clientNames, minVersion, maxVersion };
}

function* clientProblems(
  clientAuth: ClientAuth,
  hasAuthority: boolean,
  hasNames: boolean,
): Generator<string> {
  const type = "tls_server_config.client_auth_type";
  const ca = "tls_server_config.client_ca_file";
  if (hasAuthority && clientAuth === "NoClientCert") {
    yield `${type}: got "NoClientCert" with a client_ca_file; set RequireAndVerifyClientCert, or leave that out`;
  }
  if (!hasAuthority && clientAuth !== "NoClientCert") {
    yield `${ca}: not set; set it to the authority of the clients' certificates, or leave client_auth_type out`;
  }
  if (hasNames && clientAuth !== "RequireAndVerifyClientCert") {
    yield `${type}: got "${clientAuth}", takes RequireAndVerifyClientCert with client_allowed_sans`;
  }
}

/** Of the keys that may be where this one is. */
function meant(path: string): string {
  const [, parent = "", key = ""] = /^(.*\.)?([^.]*)$/.exec(path) ?? [];
  const siblings = KNOWN.filter((known) => known.startsWith(parent))
    .map((known) => known.slice(parent.length).split(".")[0] ?? "");
  const found = nearest(key, new Set(siblings));
  return found === undefined ? "" : `; did you mean ${parent}${found}?`;
}

function oneOf(words: readonly string[], why = ""): Rule {
  const takes = [words.slice(0, -1).join(", "), words.at(-1)].filter((part) => part !== "").join(" or ");
  return { takes: `${takes}${why}`, fits: RegExp(`^(?:${words.join("|")})$`) };
}

function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
