/** Certificates and keys, checked: what the TLS layer cannot use it drops without a word, or refuses at each handshake. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----/;

/** Completes "takes …". */
const USABLE_KEYS = "RSA from 2048 bits on, EC on P-256, P-384 or P-521, or Ed25519";
const USABLE_CURVES: readonly unknown[] = ["prime256v1", "secp384r1", "secp521r1"];

/**
 * The certificates in a PEM text, the first first.
 *
 * @throws {Error} whose message completes "got …", if there is none or one cannot be read.
 */
export function certificatesOf(pem: string): X509Certificate[] {
  const blocks = pem.match(CERTIFICATE);
  if (blocks === null) throw new Error("no certificate in PEM");
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw new Error(`a certificate that cannot be read, number ${index + 1} in it`, { cause });
    }
  });
}

/**
 * The private key in a PEM text.
 *
 * @throws {Error} whose message completes "got …", if there is none, or none that TLS here can use.
 */
export function privateKeyOf(pem: string): KeyObject {
  const [block] = PRIVATE_KEY.exec(pem) ?? [];
  if (block === undefined) throw new Error("no private key in PEM");
  if (/ENCRYPTED/.test(block)) throw new Error("a key with a passphrase; take that off");
  const key = readKey(block);
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  const type = key.asymmetricKeyType;
  const usable = type === "rsa" && modulusLength >= 2048 ||
    type === "ec" && USABLE_CURVES.includes(namedCurve) ||
    type === "ed25519";
  if (usable) return key;
  const detail = type === "rsa"
    ? ` of ${modulusLength} bits`
    : namedCurve === undefined
    ? ""
    : ` on ${namedCurve}`;
  throw new Error(`a key of the type ${type}${detail}, takes ${USABLE_KEYS}`);
}

function readKey(block: string): KeyObject {
  try {
    return createPrivateKey(block);
  } catch (cause) {
    throw new Error(`a private key that cannot be read, takes ${USABLE_KEYS}`, { cause });
  }
}

/** Whom a certificate is for and until when, in words. */
export function describe({ subject, subjectAltName, validTo }: X509Certificate): string {
  const until = new Date(validTo).toISOString().slice(0, 16).replace("T", " ");
  return `for ${subjectAltName ?? subject.replaceAll("\n", ", ")}, valid to ${until} UTC`;
}
