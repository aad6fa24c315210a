/** The files that a poll of the kubelet needs: read afresh at each, as tokens and certificates are rotated in place. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { KubeletError } from "./kubelet_error.ts";

/** Reads a whole file. Throws, with a reason worth showing, if it cannot. */
export type ReadFile = (path: string) => Uint8Array;

/** Which files to read; what is left out is not used. */
export interface CredentialFiles {
  readonly tokenFile?: string | undefined;
  /** Those that do not exist are passed over as long as one does. */
  readonly caFiles?: readonly string[] | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

/** The contents of the files, checked for their form. */
export interface Credentials {
  readonly token?: string;
  readonly authorities?: Authorities;
  /** PEM blocks. */
  readonly cert?: string;
  readonly key?: string;
}

/** Whom to believe about who is the kubelet. */
export interface Authorities {
  /** PEM blocks. */
  readonly pem: string;
  /** The files these came from, in words, and those that did not exist. */
  readonly source: string;
}

/**
 * Reads the files that `files` names. What is not of the right form is refused here, because the TLS layer
 * drops it without a word and then trusts, or sends, nothing. A client certificate and its key may share one
 * file, as in the kubelet's own `kubelet-client-current.pem`.
 *
 * @throws {KubeletError} with reason `credentials`.
 */
export function readCredentials(files: CredentialFiles, readFile: ReadFile): Credentials {
  const { tokenFile, caFiles, certFile, keyFile } = files;
  return {
    ...(tokenFile === undefined ? {} : { token: readToken(tokenFile, readFile) }),
    ...(caFiles === undefined ? {} : { authorities: readAuthorities(caFiles, readFile) }),
    ...(certFile === undefined && keyFile === undefined
      ? {}
      : readClientCertificate(certFile, keyFile, readFile)),
  };
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN (?:EC |RSA )?PRIVATE KEY-----[^-]+-----END (?:EC |RSA )?PRIVATE KEY-----/g;

function readToken(path: string, readFile: ReadFile): string {
  const token = readText("the kubelet token", "KPOD_KUBELET_TOKEN_FILE", path, readFile).trim();
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  const got = token === "" ? "an empty file" : "characters that no token has";
  throw credentialsError(
    "use the kubelet token",
    path,
    got,
    "set KPOD_KUBELET_TOKEN_FILE to a file with a token",
  );
}

/**
 * Reads the PEM files of the authorities to trust; the kubelet's own certificate may be one, as it is where no
 * authority signed it.
 *
 * @throws {KubeletError} with reason `credentials`, if none exists, or one that does cannot be used.
 */
export function readAuthorities(paths: readonly string[], readFile: ReadFile): Authorities {
  const files = paths.map((path) => [path, readAuthority(path, readFile)] as const);
  const found = files.filter(([, pem]) => pem !== undefined);
  const missing = files.filter(([, pem]) => pem === undefined).map(([path]) => path);
  if (found.length === 0) {
    throw credentialsError(
      "read CA certificates",
      paths.join(" or "),
      "no such file",
      "set KPOD_KUBELET_CA_FILE to the CA that signed the kubelet's certificate, or to that if it signed itself",
    );
  }
  const absent = missing.length === 0 ? "" : ` (there is no ${missing.join(", no ")})`;
  return {
    pem: found.map(([, pem]) => pem).join("\n"),
    source: found.map(([path]) => path).join(" or ") + absent,
  };
}

function readAuthority(path: string, readFile: ReadFile): string | undefined {
  try {
    return readPem("CA certificates", "KPOD_KUBELET_CA_FILE", path, CERTIFICATE, readFile);
  } catch (error) {
    const cause = error instanceof KubeletError ? error.cause as { code?: unknown } | undefined : undefined;
    if (cause?.code === "ENOENT") return undefined;
    throw error;
  }
}

function readClientCertificate(
  certFile: string | undefined,
  keyFile: string | undefined,
  readFile: ReadFile,
) {
  if (certFile === undefined || keyFile === undefined) {
    const [set, missing] = certFile === undefined ? ["KEY", "CERT"] : ["CERT", "KEY"];
    throw new KubeletError(
      "credentials",
      `Cannot use a client certificate: got KPOD_KUBELET_${set}_FILE alone; set KPOD_KUBELET_${missing}_FILE too`,
    );
  }
  const cert = readPem("the client certificate", "KPOD_KUBELET_CERT_FILE", certFile, CERTIFICATE, readFile);
  const key = readPem("the client key", "KPOD_KUBELET_KEY_FILE", keyFile, PRIVATE_KEY, readFile);
  if (!keyMatches(cert, key)) {
    throw credentialsError(
      "use the client certificate",
      certFile,
      `one that the key in ${keyFile} does not belong to`,
      "set KPOD_KUBELET_CERT_FILE and KPOD_KUBELET_KEY_FILE to a pair",
    );
  }
  return { cert, key };
}

function keyMatches(cert: string, key: string): boolean {
  try {
    return new X509Certificate(cert.match(CERTIFICATE)?.[0] ?? "").checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

function readPem(what: string, variable: string, path: string, block: RegExp, readFile: ReadFile): string {
  const blocks = readText(what, variable, path, readFile).match(block);
  if (blocks !== null) return blocks.join("\n");
  throw credentialsError(`read ${what}`, path, "no such PEM block in it", `set ${variable} to a PEM file`);
}

function readText(what: string, variable: string, path: string, readFile: ReadFile): string {
  try {
    return new TextDecoder().decode(readFile(path));
  } catch (error) {
    const got = error instanceof Error ? error.message : String(error);
    throw credentialsError(
      `read ${what}`,
      path,
      got,
      `set ${variable} to a file this process may read`,
      error,
    );
  }
}

function credentialsError(
  action: string,
  path: string,
  got: string,
  advice: string,
  cause?: unknown,
): KubeletError {
  return new KubeletError("credentials", `Cannot ${action} in ${path}: got ${got}; ${advice}`, { cause });
}
