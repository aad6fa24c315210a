/** The files that a poll of the kubelet needs: read afresh at each, as tokens and certificates are rotated in place. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { KubeletError } from "./kubelet_error.ts";

/** Reads a whole file. Throws, with a reason worth showing, if it cannot. */
export type ReadFile = (path: string) => Uint8Array;

/** Which files to read; what is left out is not used. */
export interface CredentialFiles {
  readonly tokenFile?: string | undefined;
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

/** The contents of the files, checked for their form. */
export interface Credentials {
  readonly token?: string;
  /** PEM blocks. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/**
 * Reads the files that `files` names. What is not of the right form is refused here, because the TLS layer
 * drops it without a word and then trusts, or sends, nothing. A client certificate and its key may share one
 * file, as in the kubelet's own `kubelet-client-current.pem`.
 *
 * @throws {KubeletError} with reason `credentials`.
 */
export function readCredentials(files: CredentialFiles, readFile: ReadFile): Credentials {
  const { tokenFile, caFile, certFile, keyFile } = files;
  return {
    ...(tokenFile === undefined ? {} : { token: readToken(tokenFile, readFile) }),
    ...(caFile === undefined
      ? {}
      : { ca: readPem("CA certificates", "KPOD_KUBELET_CA_FILE", caFile, CERTIFICATE, readFile) }),
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
    throw credentialsError(`read ${what}`, path, got, `set ${variable} to a file this process may read`);
  }
}

function credentialsError(action: string, path: string, got: string, advice: string): KubeletError {
  return new KubeletError("credentials", `Cannot ${action} in ${path}: got ${got}; ${advice}`);
}
