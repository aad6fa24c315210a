/**
 * What clients have to show before they are spoken to. The runtime verifies a certificate in a full handshake; but it
 * keeps sessions for the whole process, and resumes those begun under other settings without another look. So it is
 * noted here which certificates a handshake under the present settings has verified.
 */
import type { X509Certificate } from "node:crypto";
import { alternativeNames } from "./alternative_names.ts";
import type { TlsSettings } from "./web_settings.ts";

/** What a connection says of its client. */
export interface ClientSocket {
  /** Whether the runtime vouches for the certificate. */
  readonly authorized: boolean;
  getPeerX509Certificate():
    | Pick<X509Certificate, "raw" | "fingerprint256" | "validFrom" | "validTo">
    | undefined;
  isSessionReused(): boolean;
}

/** More certificates than this are verified again, in new handshakes. */
const MOST_VERIFIED = 1_000;

export class ClientCertificates {
  readonly #auth: TlsSettings["clientAuth"];
  readonly #names: TlsSettings["clientNames"];
  readonly #now: () => number;
  readonly #verified = new Set<string>();

  /** Made anew for other settings. `now` is in milliseconds since the epoch. */
  constructor({ clientAuth, clientNames }: Pick<TlsSettings, "clientAuth" | "clientNames">, now = Date.now) {
    this.#auth = clientAuth;
    this.#names = clientNames;
    this.#now = now;
  }

  /** Whether a connection may ask anything; to be asked once its handshake is through. */
  admits(socket: ClientSocket): boolean {
    if (this.#auth === "NoClientCert") return true;
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return this.#auth === "VerifyClientCertIfGiven";
    if (!socket.authorized || !this.#isVerified(certificate.fingerprint256, socket.isSessionReused())) {
      return false;
    }
    const [from, to] = [certificate.validFrom, certificate.validTo].map((date) => Date.parse(date));
    const now = this.#now();
    if (!(now >= (from ?? NaN) && now <= (to ?? NaN))) return false;
    return this.#names === undefined ||
      alternativeNames(certificate.raw).some((name) => this.#names?.includes(name));
  }

  #isVerified(fingerprint: string, wasResumed: boolean): boolean {
    if (wasResumed) return this.#verified.has(fingerprint);
    if (this.#verified.size >= MOST_VERIFIED) this.#verified.clear();
    this.#verified.add(fingerprint);
    return true;
  }
}
