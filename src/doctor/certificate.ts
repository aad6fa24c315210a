/** The kubelet's serving certificate, looked at before it is trusted. */
import { isIP } from "node:net";
import tls from "node:tls";
import { fail, type Finding, ok, warn } from "./finding.ts";

/** A certificate as a server showed it. */
export interface ShownCertificate {
  /** Subject alternative names as `DNS:node1, IP Address:10.0.0.1`; empty if it has none. */
  readonly names: string;
  readonly issuer: string;
  readonly validFrom: Date;
  readonly validTo: Date;
  /** Whether the trusted CAs signed it. */
  readonly isTrusted: boolean;
  /** Whether it is for the name that was expected. */
  readonly isForName: boolean;
}

export interface CertificateOptions {
  readonly url: URL;
  /** The DNS name to expect. By default the host of `url`. */
  readonly serverName: string | undefined;
  /** PEM text of the CAs to trust instead of the system's. */
  readonly ca: string | undefined;
  readonly timeoutMs: number;
}

/**
 * Connects, sends nothing, and returns the certificate that the server shows, whatever it is worth.
 *
 * @throws {Error} if there is no connection, or no TLS on it.
 */
export function showCertificate(options: CertificateOptions): Promise<ShownCertificate> {
  const { url, ca, timeoutMs } = options;
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const name = options.serverName ?? host;
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      host,
      port: Number(url.port || 443),
      rejectUnauthorized: false,
      // The name is looked at apart from the signature.
      checkServerIdentity: () => undefined,
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ...(ca === undefined ? {} : { ca }),
    });
    const settle = (outcome: () => void) => {
      clearTimeout(timer);
      outcome();
      socket.destroy();
    };
    const timer = setTimeout(
      () => settle(() => reject(new Error(`no TLS handshake in ${timeoutMs} ms`))),
      timeoutMs,
    );
    socket.on("error", (error) => settle(() => reject(error)));
    socket.on("secureConnect", () =>
      settle(() => {
        const certificate = socket.getPeerCertificate();
        resolve({
          names: certificate.subjectaltname ?? "",
          issuer: [certificate.issuer.CN].flat().join(", "),
          validFrom: new Date(certificate.valid_from),
          validTo: new Date(certificate.valid_to),
          isTrusted: socket.authorized,
          isForName: tls.checkServerIdentity(name, certificate) === undefined,
        });
      }));
  });
}

const DAY_MS = 86_400_000;

/** What is wrong with a certificate for the agent, if anything. `caFile` is where the trusted CAs came from. */
export function certificateFinding(
  certificate: ShownCertificate,
  expectedName: string,
  caFile: string | undefined,
  now: number,
): Finding {
  const { names, issuer, validFrom, validTo, isTrusted, isForName } = certificate;
  const shown = `for ${names || "no name"}, signed by ${issuer}, valid from ${day(validFrom)} to ${
    day(validTo)
  }`;
  const problems: [found: string, advice: string][] = [];
  if (now < validFrom.getTime() || now > validTo.getTime()) {
    problems.push(["not valid now", "renew the kubelet's serving certificate, or set this node's clock"]);
  } else if (!isTrusted) {
    problems.push([
      `not signed by a CA in ${caFile ?? "the system's store"}`,
      `set KPOD_KUBELET_CA_FILE to the certificate of ${issuer} (a kubelet without serverTLSBootstrap signs its own: ` +
      "/var/lib/kubelet/pki/kubelet.crt on the node)",
    ]);
  }
  if (!isForName) {
    const first = /DNS:([^,\s]+)/.exec(names)?.[1];
    problems.push([
      `not for ${expectedName}`,
      first === undefined
        ? "put an address that it is for into KPOD_KUBELET_URL and leave KPOD_KUBELET_SERVER_NAME empty"
        : `set KPOD_KUBELET_SERVER_NAME to a name it is for, such as ${first}`,
    ]);
  }
  const trusted = `${shown}; fits ${expectedName} and ${caFile ?? "the system's CAs"}`;
  if (problems.length > 0) {
    const founds = problems.map(([found]) => found).join(", and ");
    return fail(
      "kubelet certificate",
      `${shown}; ${founds}`,
      problems.map(([, advice]) => advice).join("; "),
    );
  }
  if (validTo.getTime() - now > DAY_MS) return ok("kubelet certificate", trusted);
  const advice =
    "see that the kubelet renews it (rotateCertificates, serverTLSBootstrap) before the agent loses it";
  return warn("kubelet certificate", `${shown}; ends in less than a day`, advice);
}

function day(date: Date): string {
  return Number.isNaN(date.getTime()) ? "unknown" : date.toISOString().slice(0, 16).replace("T", " ");
}
