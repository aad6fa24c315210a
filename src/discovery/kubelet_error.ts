/** Why a kubelet could not be asked, told so that an operator knows what to change. */

/** Every reason there is, so that each can be counted from zero. */
export const KUBELET_ERROR_REASONS = [
  "connect",
  "tls",
  "timeout",
  "unauthorized",
  "forbidden",
  "http",
  "body",
  "credentials",
] as const;
export type KubeletErrorReason = (typeof KUBELET_ERROR_REASONS)[number];

/** A failed poll of the kubelet; the message is one complete sentence for an operator. */
export class KubeletError extends Error {
  override readonly name = "KubeletError";
  readonly reason: KubeletErrorReason;
  /** How long the kubelet wants to be left alone, in milliseconds. */
  readonly retryAfterMs: number;

  constructor(
    reason: KubeletErrorReason,
    message: string,
    { retryAfterMs = 0, ...options }: ErrorOptions & { readonly retryAfterMs?: number } = {},
  ) {
    super(message, options);
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/** A failure at `url` that `got` describes and `advice` may mend. */
export function pollError(
  reason: KubeletErrorReason,
  url: string,
  got: string,
  advice: string,
  cause?: unknown,
) {
  return new KubeletError(reason, pollMessage(url, got, advice), { cause });
}

function pollMessage(url: string, got: string, advice: string): string {
  return `Cannot list pods at ${url}: got ${got}; ${advice}`;
}

/** However long a kubelet wants to be left alone, it is asked again after this, in milliseconds. */
const LONGEST_RETRY_AFTER_MS = 5 * 60 * 1000;

/** Milliseconds that a header `Retry-After` asks for: seconds, or a date. */
function retryAfterMs(header: string): number {
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(0, ms), LONGEST_RETRY_AFTER_MS);
}

/** What about the request decides which advice fits. */
export interface RequestFacts {
  /** As the operator knows it, with the path. */
  readonly url: string;
  readonly tokenFile?: string | undefined;
  readonly certFile?: string | undefined;
  /** Host and port, an IPv6 address in brackets. */
  readonly address: string;
}

/** An answer other than 200, of which `text` is the beginning; `retryAfter` is its header of that name. */
export function statusError(
  facts: RequestFacts,
  status: number,
  text: string,
  retryAfter = "",
): KubeletError {
  const said = text.split("\n", 1)[0]?.trim().slice(0, 200) ?? "";
  const got = `HTTP status ${status}${said === "" ? "" : ` (${said})`}`;
  if (status === 401) return pollError("unauthorized", facts.url, got, unauthorizedAdvice(facts));
  if (status === 403) return pollError("forbidden", facts.url, got, forbiddenAdvice(facts, text));
  // What Go's HTTPS server says to a client that speaks plain HTTP (net/http, server.go).
  if (status === 400 && said.startsWith("Client sent an HTTP request to an HTTPS server")) {
    return pollError("tls", facts.url, got, "use https:// in KPOD_KUBELET_URL");
  }
  const message = pollMessage(facts.url, got, httpAdvice(status));
  return new KubeletError("http", message, { retryAfterMs: retryAfterMs(retryAfter) });
}

function httpAdvice(status: number): string {
  if (status >= 500) return "see the kubelet's log on this node";
  if (status === 429) {
    return "it is asked less often until it answers; raise KPOD_KUBELET_POLL_INTERVAL_SECONDS if this goes on";
  }
  return "check that KPOD_KUBELET_URL is a kubelet's address, without the path";
}

const NO_CREDENTIALS = "no credentials were sent: set KPOD_KUBELET_TOKEN_FILE";

function unauthorizedAdvice({ tokenFile, certFile }: RequestFacts): string {
  if (tokenFile !== undefined) {
    return `the kubelet did not accept the token in ${tokenFile}: check that it is a service account token of this ` +
      "cluster, not expired and for the API server's audience, that the kubelet runs with " +
      "authentication.webhook.enabled, and that it reaches its API server";
  }
  if (certFile === undefined) return NO_CREDENTIALS;
  return `the kubelet did not accept the client certificate in ${certFile}: check that its client CA signed it`;
}

/**
 * What a kubelet answers with 403 (InstallAuthFilter in pkg/kubelet/server/server.go): since 1.32 the names of all
 * subresources that would have done, the narrowest first; before, of one.
 */
const FORBIDDEN =
  /^Forbidden \(user=(.*), verb=(\w+), resource=(\w+), subresource(?:\(s\))?=\[?(\w+)[\w ]*\]?\)/;

function forbiddenAdvice({ tokenFile, certFile }: RequestFacts, text: string): string {
  const [, user, verb, resource, subresource] = FORBIDDEN.exec(text) ?? [];
  if (user === undefined) {
    return "grant this identity a ClusterRole with the verb get on nodes/pods (Kubernetes 1.33 and later) or " +
      "nodes/proxy (earlier)";
  }
  if (user === "system:anonymous") {
    if (tokenFile === undefined && certFile === undefined) return NO_CREDENTIALS;
    return `the kubelet did not look at what is in ${tokenFile ?? certFile}: set ` +
      `${
        tokenFile === undefined ? "authentication.x509.clientCAFile" : "authentication.webhook.enabled"
      } in its configuration`;
  }
  const grant = `bind ${user} to a ClusterRole with the verb ${verb} on ${resource}/${subresource}`;
  return subresource === "proxy"
    ? `${grant}: this kubelet does not know nodes/pods, which is enough from Kubernetes 1.33 on`
    : grant;
}

/** A request that ended without a usable answer, told by the code of Node's error. */
export function networkError(facts: RequestFacts, error: unknown): KubeletError {
  const { name, code = "", syscall, message = String(error) } = error as NodeJS.ErrnoException;
  if (name === "NotCapable") return permissionError(facts, error);
  const tls = TLS_ADVICE.find(({ codes }) => codes.test(code));
  if (tls !== undefined) return pollError("tls", facts.url, message, tls.advice, error);
  const advice = CONNECT_ADVICE[`${syscall} ${code}`] ?? CONNECT_ADVICE[code] ?? "check KPOD_KUBELET_URL";
  return pollError("connect", facts.url, message, advice, error);
}

/** The addresses of the permission set `agent` in deno.json, which a flag on the command line replaces as a whole. */
export const PERMITTED_ADDRESSES = "0.0.0.0/0,localhost,[::],[::1]";

function permissionError({ url, address }: RequestFacts, error: unknown): KubeletError {
  const got = `no permission of this process to connect to ${address}`;
  const advice = address.startsWith("[")
    ? "of IPv6 addresses its permissions name none but the loopback: start it with " +
      `--allow-net=${PERMITTED_ADDRESSES},${address} before mod.ts (in a DaemonSet, in the container's command ` +
      "and with [$(NODE_IP)] for the address)"
    : "start it with the permissions that deno.json names (-P=agent)";
  return pollError("connect", url, got, advice, error);
}

const TLS_ADVICE: readonly { readonly codes: RegExp; readonly advice: string }[] = [
  {
    codes:
      /ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA)|ALERT_(HANDSHAKE_FAILURE|CERTIFICATE_UNKNOWN)/,
    advice:
      "the server wants a client certificate it knows: set KPOD_KUBELET_CERT_FILE and KPOD_KUBELET_KEY_FILE",
  },
  {
    // What Go's TLS tells a client when its server has no certificate to show.
    codes: /ALERT_INTERNAL_ERROR/,
    advice:
      "the kubelet has no serving certificate yet: with serverTLSBootstrap its request waits for approval " +
      "(kubectl get csr, kubectl certificate approve), else see its log",
  },
  {
    codes: /WRONG_VERSION_NUMBER/,
    advice: "the port does not speak TLS: use http:// in KPOD_KUBELET_URL",
  },
  {
    codes: /^HPE_/,
    advice: "the port does not answer with HTTP: it may speak TLS, so use https:// in KPOD_KUBELET_URL",
  },
  {
    codes: /SSL|TLS|CERT|SIGNED|UNABLE_TO_/,
    advice: "check KPOD_KUBELET_URL and KPOD_KUBELET_CA_FILE, and the kubelet's TLS settings",
  },
];

const POLICY = "check KPOD_KUBELET_URL and the network policies between this pod and its node";

const CONNECT_ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: "check that a kubelet runs on this node and listens at KPOD_KUBELET_URL",
  ECONNRESET: "check that KPOD_KUBELET_URL is the kubelet's, and see its log",
  EHOSTUNREACH: POLICY,
  ENETUNREACH: POLICY,
  EPERM: POLICY,
  // Deno's answer where its permissions name addresses and the URL has a host name.
  "getaddrinfo EPERM":
    "this process may connect to addresses only: put the node's address into KPOD_KUBELET_URL",
  ENOTFOUND: "the host name does not resolve: put the node's address into KPOD_KUBELET_URL",
};
