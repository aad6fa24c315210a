/**
 * One request: `GET /pods` of the kubelet. It goes over `node:https`, as `fetch` cannot be told which name to
 * expect in the certificate, and a kubelet's is for the node's name while it is reached by address.
 */
import { Buffer } from "node:buffer";
import http from "node:http";
import https from "node:https";
import {
  certificateProblem,
  checkNames,
  hostOf,
  serverNameOf,
  showCertificate,
} from "./kubelet_certificate.ts";
import { type Credentials, readCredentials, type ReadFile } from "./kubelet_credentials.ts";
import { KubeletError, networkError, pollError, type RequestFacts, statusError } from "./kubelet_error.ts";
import { type PodList, PodListError, PodListParser, type PodListReader } from "./pod_list.ts";

export type { ReadFile } from "./kubelet_credentials.ts";
export { KubeletError } from "./kubelet_error.ts";

/** Where the kubelet is and how to speak to it. */
export interface KubeletOptions {
  /** `https://10.0.0.1:10250`, or `http://127.0.0.1:10255` for the read-only port; `/pods` is appended. */
  readonly url: URL;
  /** The kubelet's certificate has to be for one of these names and addresses. */
  readonly serverNames: readonly string[];
  /** File with the bearer token; sent over TLS only. */
  readonly tokenFile?: string | undefined;
  /** PEM files of the authorities that may have signed the kubelet's certificate, or of itself. */
  readonly caFiles: readonly string[];
  /** PEM files of a client certificate and its key. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Accept any certificate, and read no `caFiles`. The token then goes to whoever answers. */
  readonly insecureTls?: boolean | undefined;
  /** Time allowed for the whole exchange, its body included, in milliseconds. */
  readonly timeoutMs: number;
}

/** A kubelet to ask. */
export interface KubeletClient {
  /**
   * Asks for the node's pods.
   *
   * @throws {KubeletError} which says what happened and what to do.
   */
  fetchPods(signal?: AbortSignal): Promise<PodList>;
}

/**
 * Some 12 kB a pod are usual; what is beyond this is not a node's list of pods. To parse JSON may take sixty times its
 * length of memory, and an agent that is killed for that has lost its counts.
 */
const BODY_LIMIT = 16 * 1024 * 1024;

/** Of an error's body only the first line is shown. */
const ERROR_BODY_LIMIT = 64 * 1024;

/**
 * Returns a client that reads token and certificates through `readFile` at every poll.
 *
 * @throws {Error} if the scheme of the URL is neither http nor https.
 */
export function createKubeletClient(options: KubeletOptions, readFile: ReadFile): KubeletClient {
  const { url, insecureTls = false } = options;
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new Error(`Cannot use KPOD_KUBELET_URL: got the scheme ${url.protocol}//; use https:// or http://`);
  }
  const path = `${url.pathname.replace(/\/+$/, "")}/pods`;
  const secure = url.protocol === "https:";
  const facts: RequestFacts = {
    url: `${url.origin}${path}`,
    tokenFile: secure ? options.tokenFile : undefined,
    certFile: options.certFile,
    address: `${url.hostname}:${url.port || (secure ? 443 : 80)}`,
  };
  const files = insecureTls ? { ...options, caFiles: undefined } : options;
  const parser = new PodListParser();
  return {
    fetchPods: async (signal) => {
      const credentials = secure ? readCredentials(files, readFile) : {};
      const deadline = performance.now() + options.timeoutMs;
      return await get(options, path, credentials, facts, parser.begin(), signal)
        .catch(async (error) => {
          throw await explained(error, options, credentials, facts, deadline - performance.now(), signal);
        });
    },
  };
}

/** Takes the body of an answer as it arrives; either may throw the KubeletError that the answer is. */
interface Body {
  /** `received` is how many bytes there have been so far, these included. */
  push(chunk: Buffer, received: number): void;
  end(): PodList;
}

function podListBody(reader: PodListReader, { url }: RequestFacts): Body {
  const advice = "check that KPOD_KUBELET_URL is a kubelet's address";
  const reading = <T>(read: () => T): T => {
    try {
      return read();
    } catch (error) {
      throw error instanceof PodListError ? pollError("body", url, error.message, advice, error) : error;
    }
  };
  return {
    push(chunk, received) {
      if (received > BODY_LIMIT) {
        throw pollError("body", url, `a body of more than ${BODY_LIMIT / 1024 / 1024} MiB`, advice);
      }
      reading(() => reader.push(chunk));
    },
    end: () => reading(() => reader.end()),
  };
}

function refusalBody({ statusCode = 0, headers }: http.IncomingMessage, facts: RequestFacts): Body {
  const chunks: Buffer[] = [];
  const end = () => {
    throw statusError(facts, statusCode, Buffer.concat(chunks).toString("utf8"), headers["retry-after"]);
  };
  return {
    push(chunk, received) {
      chunks.push(chunk);
      if (received > ERROR_BODY_LIMIT) end();
    },
    end,
  };
}

/**
 * The error of a certificate that was refused, with what the certificate is; any other error as it is. The
 * runtime says little about a certificate it refuses (of one that is not valid yet, that its signer is not known), so
 * this looks at it on a connection of its own.
 */
async function explained(
  error: unknown,
  { url, serverNames: names }: KubeletOptions,
  { authorities }: Credentials,
  facts: RequestFacts,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  if (!(error instanceof KubeletError) || error.reason !== "tls" || authorities === undefined) return error;
  const { pem, source } = authorities;
  const shown = await showCertificate({ url, names, ca: pem, timeoutMs, signal }).catch(() => undefined);
  const problem = shown && certificateProblem(shown, { names, source }, Date.now());
  if (problem === undefined) return error;
  return pollError("tls", facts.url, `a certificate ${problem.found}`, problem.advice, error);
}

function get(
  options: KubeletOptions,
  path: string,
  credentials: Credentials,
  facts: RequestFacts,
  reader: PodListReader,
  signal: AbortSignal | undefined,
): Promise<PodList> {
  return new Promise((resolve, reject) => {
    let request: http.ClientRequest | undefined;
    // After the first outcome, later ones (such as the error that destroy() raises) change nothing.
    const settle = (outcome: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      outcome();
      request?.destroy();
    };
    const fail = (error: Error) => settle(() => reject(error));
    const abort = () => fail(pollError("connect", facts.url, "an end to the wait", "the agent is stopping"));
    const timer = setTimeout(() => {
      const got = `no complete answer in ${options.timeoutMs} ms`;
      const advice = "check that the kubelet is not overloaded, or raise KPOD_KUBELET_TIMEOUT_MS";
      fail(pollError("timeout", facts.url, got, advice));
    }, options.timeoutMs);
    if (signal?.aborted) return abort();
    signal?.addEventListener("abort", abort);
    try {
      request = send(options, path, credentials);
    } catch (error) {
      return fail(networkError(facts, error));
    }
    request.on("error", (error) => fail(networkError(facts, error)));
    request.on("response", (response) => {
      const body = response.statusCode === 200 ? podListBody(reader, facts) : refusalBody(response, facts);
      const attempt = (work: () => void) => {
        try {
          work();
        } catch (error) {
          fail(error as Error);
        }
      };
      let received = 0;
      response.on("data", (chunk: Buffer) => {
        received += chunk.length;
        attempt(() => body.push(chunk, received));
      });
      response.on("end", () =>
        attempt(() => {
          const list = body.end();
          settle(() => resolve(list));
        }));
      response.on("error", (error) => {
        const got = `a body that broke off after ${received} bytes (${error.message})`;
        fail(pollError("body", facts.url, got, "see the kubelet's log if this goes on", error));
      });
    });
    request.end();
  });
}

/**
 * Opens a connection of its own for this request: a pooled one is chosen by host and port alone, so that a
 * connection made under other TLS settings would be used without the present ones being checked.
 */
function send(options: KubeletOptions, path: string, credentials: Credentials): http.ClientRequest {
  const { url } = options;
  const request = {
    host: hostOf(url),
    port: url.port === "" ? undefined : Number(url.port),
    path,
    agent: false as const,
    headers: {
      accept: "application/json",
      ...(credentials.token === undefined ? {} : { authorization: `Bearer ${credentials.token}` }),
    },
  };
  if (url.protocol === "http:") return http.request(request);
  return https.request({
    ...request,
    rejectUnauthorized: options.insecureTls !== true,
    checkServerIdentity: (_, certificate) => checkNames(options.serverNames, certificate),
    ...serverNameOf(options.serverNames),
    // Never left out: the system's store, which would do instead, is not for this process to read.
    ca: credentials.authorities?.pem ?? [],
    ...(credentials.cert === undefined ? {} : { cert: credentials.cert }),
    ...(credentials.key === undefined ? {} : { key: credentials.key }),
  });
}
