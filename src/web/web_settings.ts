/** The web configuration with the files it names: all that the server needs of it, checked. */
import { isAbsolute, join } from "node:path";
import { certificatesOf, privateKeyOf } from "./pem.ts";
import type { ClientAuth, PemSource, TlsConfig, WebConfig } from "./web_config.ts";
import { WebConfigProblems } from "./web_config_error.ts";

/** Reads a whole file. Throws, with a reason worth showing, if it cannot. */
export type ReadFile = (path: string) => Uint8Array;

export interface WebSettings {
  /** Undefined for plain HTTP. */
  readonly tls: TlsSettings | undefined;
  readonly headers: WebConfig["headers"];
  readonly users: WebConfig["users"];
}

/** Texts in PEM, and what clients have to show. */
export interface TlsSettings {
  readonly cert: string;
  readonly key: string;
  /** Who may have signed clients' certificates. */
  readonly clientCa: string | undefined;
  readonly clientAuth: ClientAuth;
  readonly clientNames: readonly string[] | undefined;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  readonly maxVersion: "TLSv1.2" | "TLSv1.3";
}

/** The texts of the files that a configuration names, before anything is made of them. */
export type Pems = Readonly<Record<"cert" | "key" | "clientCa", string | undefined>>;

/** What the keys of the format are called. */
const KEYS = { cert: "cert", key: "key", clientCa: "client_ca" } as const;

/**
 * Reads what `tls` names; relative paths lie in `directory`.
 *
 * @throws {WebConfigProblems} if a file cannot be read.
 */
export function readPems(tls: TlsConfig | undefined, directory: string, readFile: ReadFile): Pems {
  const problems: string[] = [];
  const read = (name: keyof Pems): string | undefined => {
    const source: PemSource | undefined = tls?.[name];
    if (source === undefined) return undefined;
    if ("text" in source) return source.text;
    const path = isAbsolute(source.path) ? source.path : join(directory, source.path);
    try {
      return new TextDecoder().decode(readFile(path));
    } catch (error) {
      const got = error instanceof Error ? error.message : String(error);
      problems.push(`tls_server_config.${KEYS[name]}_file: ${got}; set it to a file this process may read`);
      return undefined;
    }
  };
  const pems = { cert: read("cert"), key: read("key"), clientCa: read("clientCa") };
  if (problems.length > 0) throw new WebConfigProblems(problems);
  return pems;
}

/**
 * Puts a configuration and its files together.
 *
 * @throws {WebConfigProblems} if they cannot be used, or not together.
 */
export function webSettings({ tls, headers, users }: WebConfig, pems: Pems): WebSettings {
  return { tls: tls && tlsSettings(tls, pems), headers, users };
}

const VERSIONS = { TLS12: "TLSv1.2", TLS13: "TLSv1.3" } as const;

function tlsSettings(tls: TlsConfig, { cert = "", key = "", clientCa }: Pems): TlsSettings {
  const problems: string[] = [];
  const attempt = <Value>(name: keyof Pems, make: () => Value): Value | undefined => {
    try {
      return make();
    } catch (error) {
      problems.push(`${labelOf(tls, name)}: got ${error instanceof Error ? error.message : error}`);
      return undefined;
    }
  };
  const [certificate] = attempt("cert", () => certificatesOf(cert)) ?? [];
  const privateKey = attempt("key", () => privateKeyOf(key));
  if (clientCa !== undefined) attempt("clientCa", () => certificatesOf(clientCa));
  if (certificate !== undefined && privateKey !== undefined && !certificate.checkPrivateKey(privateKey)) {
    problems.push(`${labelOf(tls, "key")}: got a key that is not the certificate's; set both to a pair`);
  }
  if (problems.length > 0) throw new WebConfigProblems(problems);
  const { clientAuth, clientNames, minVersion, maxVersion } = tls;
  return {
    cert,
    key,
    clientCa,
    clientAuth,
    clientNames,
    minVersion: VERSIONS[minVersion],
    maxVersion: VERSIONS[maxVersion],
  };
}

/** The key that it was set by, with the path if it is a file's. */
function labelOf(tls: TlsConfig, name: keyof Pems): string {
  const source = tls[name];
  const key = `tls_server_config.${KEYS[name]}`;
  return source !== undefined && "path" in source ? `${key}_file (${source.path})` : key;
}
