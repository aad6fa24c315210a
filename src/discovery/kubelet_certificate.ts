/** The kubelet's serving certificate: whom it has to be for, and what is wrong with one that is refused. */
import { isIP } from "node:net";
import tls from "node:tls";

/** A certificate as a server showed it. */
export interface ShownCertificate {
  /** Whom it is for: `DNS:node1, IP Address:10.0.0.1`, or `CN=node1` if it has no such names. */
  readonly names: string;
  readonly subject: string;
  readonly issuer: string;
  readonly validFrom: Date;
  readonly validTo: Date;
  /** Whether the trusted authorities vouch for it. */
  readonly isTrusted: boolean;
  /** The first of the expected names that it is for. */
  readonly fittingName: string | undefined;
}

/** What a certificate has to be like. */
export interface Expected {
  /** It has to be for one of these names and addresses. */
  readonly names: readonly string[];
  /** Where the trusted authorities came from, in words. */
  readonly source: string;
}

/** What is wrong with a certificate, completing "a certificate …", and what to do. */
export interface CertificateProblem {
  readonly found: string;
  readonly advice: string;
}

export interface ShowOptions {
  readonly url: URL;
  readonly names: readonly string[];
  /** PEM text of the authorities to trust. */
  readonly ca: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What the name check needs of a certificate. */
type Named = Parameters<typeof tls.checkServerIdentity>[1];

/** Node's own check of a certificate's names, which one of `names` has to pass; returns the error if none does. */
export function checkNames(names: readonly string[], certificate: Named): Error | undefined {
  if (fittingName(names, certificate) !== undefined) return undefined;
  const error = new Error(`a certificate that is not for ${names.join(" or ")}`);
  return Object.assign(error, { code: "ERR_TLS_CERT_ALTNAME_INVALID" });
}

function fittingName(names: readonly string[], certificate: Named): string | undefined {
  return names.find((name) => tls.checkServerIdentity(name, certificate) === undefined);
}

/**
 * Connects, sends nothing, and returns the certificate that the server shows, whatever it is worth.
 *
 * @throws {Error} if there is no connection, or no TLS on it.
 */
export function showCertificate(options: ShowOptions): Promise<ShownCertificate> {
  const { url, names, ca, timeoutMs, signal } = options;
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      host: hostOf(url),
      port: Number(url.port || 443),
      rejectUnauthorized: false,
      // The names are looked at apart from the signature.
      checkServerIdentity: () => undefined,
      ...serverNameOf(names),
      ca,
    });
    const settle = (outcome: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      outcome();
      socket.destroy();
    };
    const fail = (message: string) => settle(() => reject(new Error(message)));
    const abort = () => fail("no TLS handshake before the end of the wait");
    const timer = setTimeout(() => fail(`no TLS handshake in ${timeoutMs} ms`), timeoutMs);
    signal?.addEventListener("abort", abort);
    socket.on("error", (error) => settle(() => reject(error)));
    socket.on("secureConnect", () => settle(() => resolve(shown(socket, names))));
  });
}

function shown(socket: tls.TLSSocket, names: readonly string[]): ShownCertificate {
  const certificate = socket.getPeerCertificate();
  const subject = commonName(certificate.subject);
  return {
    names: certificate.subjectaltname || (subject === "" ? "" : `CN=${subject}`),
    subject,
    issuer: commonName(certificate.issuer),
    validFrom: new Date(certificate.valid_from),
    validTo: new Date(certificate.valid_to),
    isTrusted: socket.authorized,
    fittingName: fittingName(names, certificate),
  };
}

function commonName(name: tls.Certificate | undefined): string {
  return [name?.CN ?? []].flat().join(", ");
}

/** The host without the brackets of an IPv6 address, as sockets want it. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

/** The name to ask the server for: TLS knows no address as server name (RFC 6066, section 3). */
export function serverNameOf(names: readonly string[]): { servername?: string } {
  const servername = names.find((name) => isIP(name) === 0);
  return servername === undefined ? {} : { servername };
}

/** Names, signer and time of a certificate, completing "a certificate …". */
export function describeCertificate({ names, issuer, validFrom, validTo }: ShownCertificate): string {
  const by = issuer === "" ? "" : ` signed by ${issuer},`;
  return `for ${names || "no name"},${by} valid from ${minute(validFrom)} to ${minute(validTo)} UTC`;
}

/** What is wrong with a certificate at the time `now`, if anything. */
export function certificateProblem(
  certificate: ShownCertificate,
  expected: Expected,
  now: number,
): CertificateProblem | undefined {
  const problems = [trustProblem(certificate, expected, now), nameProblem(certificate, expected)]
    .filter((problem) => problem !== undefined);
  if (problems.length === 0) return undefined;
  const founds = problems.map(({ found }) => found).join(" and which ");
  return {
    found: `${describeCertificate(certificate)}, which ${founds}`,
    advice: problems.map(({ advice }) => advice).join("; "),
  };
}

/** The authority that a kubelet makes for the certificate it signs itself (GenerateSelfSignedCertKey of client-go). */
const OWN_AUTHORITY = /-ca@\d+$/;

function trustProblem(
  { subject, issuer, validFrom, validTo, isTrusted }: ShownCertificate,
  { source }: Expected,
  now: number,
): CertificateProblem | undefined {
  if (now > validTo.getTime()) {
    return {
      found: `expired at ${minute(validTo)} UTC`,
      advice: OWN_AUTHORITY.test(issuer)
        ? "a kubelet's own certificate lasts a year: delete kubelet.crt and kubelet.key in /var/lib/kubelet/pki " +
          "on the node, restart the kubelet, then this pod; or set serverTLSBootstrap: true in the kubelet's " +
          "configuration"
        : "renew the kubelet's serving certificate (with serverTLSBootstrap: kubectl get csr shows whether its " +
          "request waits for approval), or set this node's clock right",
    };
  }
  if (now < validFrom.getTime()) {
    return {
      found: `is not valid before ${minute(validFrom)} UTC`,
      advice: `set this node's clock right, by which it is ${minute(new Date(now))} UTC`,
    };
  }
  if (isTrusted) return undefined;
  return { found: `no CA in ${source} vouches for`, advice: trustAdvice(subject, issuer) };
}

function trustAdvice(subject: string, issuer: string): string {
  if (OWN_AUTHORITY.test(issuer)) {
    return "this kubelet signs its own certificate: name a copy of the node's /var/lib/kubelet/pki/kubelet.crt in " +
      "KPOD_KUBELET_CA_FILE too; if it names one, that is missing or of an older certificate: restart this pod " +
      "to copy it anew";
  }
  if (subject === issuer) return "name a file with this very certificate in KPOD_KUBELET_CA_FILE too";
  return `name a file with the certificate of ${issuer || "its signer"} in KPOD_KUBELET_CA_FILE too`;
}

function nameProblem(
  { names, fittingName }: ShownCertificate,
  expected: Expected,
): CertificateProblem | undefined {
  if (fittingName !== undefined) return undefined;
  const first = /(?:DNS:|IP Address:|CN=)([^,\s]+)/.exec(names)?.[1];
  return {
    found: `is not for ${expected.names.join(" or ")}`,
    advice: "check that KPOD_KUBELET_URL is this node's kubelet, and " +
      (first === undefined
        ? "give that a certificate with the node's name"
        : `set KPOD_KUBELET_SERVER_NAME to a name it is for, such as ${first}`),
  };
}

/** What it means that a certificate is not verified, completing "the certificate is …". */
export function unverifiedRisk(
  { url, tokenFile }: { readonly url: URL; readonly tokenFile: string | undefined },
): string {
  const gets = tokenFile === undefined ? "" : ` and gets the token in ${tokenFile}`;
  return `not verified: whoever answers at ${url.origin} is believed${gets}`;
}

function minute(date: Date): string {
  return Number.isNaN(date.getTime()) ? "an unknown time" : date.toISOString().slice(0, 16).replace("T", " ");
}
