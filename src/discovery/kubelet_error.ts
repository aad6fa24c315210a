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

  constructor(reason: KubeletErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
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
  return new KubeletError(reason, `Cannot list pods at ${url}: got ${got}; ${advice}`, { cause });
}

/** What about the request decides which advice fits. */
export interface RequestFacts {
  /** As the operator knows it, with the path. */
  readonly url: string;
  readonly tokenFile?: string | undefined;
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  /** The name that the kubelet's certificate was checked for. */
  readonly checkedName: string;
}

/** An answer other than 200, of which `text` is the beginning. */
export function statusError(facts: RequestFacts, status: number, text: string): KubeletError {
  const said = text.split("\n", 1)[0]?.trim().slice(0, 200) ?? "";
  const got = `HTTP status ${status}${said === "" ? "" : ` (${said})`}`;
  if (status === 401) {
    return pollError(
      "unauthorized",
      facts.url,
      got,
      facts.tokenFile !== undefined
        ? `the kubelet did not accept the token in ${facts.tokenFile}: check that it is a service account token ` +
          "of this cluster, that the kubelet runs with authentication.webhook.enabled, and that it reaches its API server"
        : facts.certFile !== undefined
        ? `the kubelet did not accept the client certificate in ${facts.certFile}: check that its client CA signed it`
        : "no credentials were sent: set KPOD_KUBELET_TOKEN_FILE",
    );
  }
  if (status === 403) {
    return pollError(
      "forbidden",
      facts.url,
      got,
      "grant this identity a ClusterRole with the verb get on nodes/pods (Kubernetes 1.33 and later) or nodes/proxy (earlier)",
    );
  }
  // What Go's HTTPS server says to a client that speaks plain HTTP (net/http, server.go).
  if (status === 400 && said.startsWith("Client sent an HTTP request to an HTTPS server")) {
    return pollError("tls", facts.url, got, "use https:// in KPOD_KUBELET_URL");
  }
  return pollError(
    "http",
    facts.url,
    got,
    status >= 500
      ? "see the kubelet's log on this node"
      : "check that KPOD_KUBELET_URL is a kubelet's address, without the path",
  );
}

/** A request that ended without a usable answer, told by the code of Node's error. */
export function networkError(facts: RequestFacts, error: unknown): KubeletError {
  const { code = "", message = String(error) } = error as { code?: string; message?: string };
  const tls = TLS_ADVICE.find(({ codes }) => codes.test(code));
  if (tls !== undefined) return pollError("tls", facts.url, message, tls.advice(facts), error);
  const advice = CONNECT_ADVICE[code] ?? "check KPOD_KUBELET_URL";
  return pollError("connect", facts.url, message, advice, error);
}

const TLS_ADVICE: readonly { readonly codes: RegExp; readonly advice: (facts: RequestFacts) => string }[] = [
  {
    codes: /ALTNAME_INVALID/,
    advice: ({ checkedName }) =>
      `the certificate is not for ${checkedName}: set KPOD_KUBELET_SERVER_NAME to a name it has, ` +
      "which for a kubelet is most often the node's",
  },
  {
    codes: /UNABLE_TO_|SELF_SIGNED|UNKNOWN_CA|CERT_UNTRUSTED|CERT_SIGNATURE_FAILURE/,
    advice: ({ caFile }) =>
      `${
        caFile === undefined ? "no system CA" : `no CA in ${caFile}`
      } signed the kubelet's certificate: set ` +
      "KPOD_KUBELET_CA_FILE to the CA that did (a kubelet without serverTLSBootstrap signs its own)",
  },
  {
    codes: /CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/,
    advice: () => "renew the kubelet's serving certificate, or set this node's clock",
  },
  {
    codes:
      /ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA)|ALERT_(HANDSHAKE_FAILURE|CERTIFICATE_UNKNOWN)/,
    advice: () =>
      "the server wants a client certificate it knows: set KPOD_KUBELET_CERT_FILE and KPOD_KUBELET_KEY_FILE",
  },
  {
    codes: /WRONG_VERSION_NUMBER/,
    advice: () => "the port does not speak TLS: use http:// in KPOD_KUBELET_URL",
  },
  {
    codes: /^HPE_/,
    advice: () => "the port does not answer with HTTP: it may speak TLS, so use https:// in KPOD_KUBELET_URL",
  },
  { codes: /SSL|TLS|CERT/, advice: () => "check KPOD_KUBELET_URL and the kubelet's TLS settings" },
];

const CONNECT_ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: "check that a kubelet runs on this node and listens at KPOD_KUBELET_URL",
  ECONNRESET: "check that KPOD_KUBELET_URL is the kubelet's, and see its log",
  EHOSTUNREACH: "check KPOD_KUBELET_URL and the network policies between this pod and its node",
  ENETUNREACH: "check KPOD_KUBELET_URL and the network policies between this pod and its node",
  // Deno's answer where its permissions name addresses and the URL has a host name.
  EPERM: "this process may connect to addresses only: put the node's address into KPOD_KUBELET_URL",
  ENOTFOUND: "the host name does not resolve: put the node's address into KPOD_KUBELET_URL",
};
