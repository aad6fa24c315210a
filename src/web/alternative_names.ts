/**
 * The names in a certificate's subjectAltName (RFC 5280, 4.2.1.6), out of its DER. The runtime's text of them does not
 * tell a name with a comma from two names.
 */

const CONTEXT = 0x80;
const EXTENSIONS = 0xa3;
const SEQUENCE = 0x30;
const OBJECT_IDENTIFIER = 0x06;
const OCTET_STRING = 0x04;
/** 2.5.29.17 */
const SUBJECT_ALT_NAME = "55 1d 11";

const EMAIL = CONTEXT + 1;
const DNS = CONTEXT + 2;
const URI = CONTEXT + 6;
const ADDRESS = CONTEXT + 7;

interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
}

/**
 * DNS names, mail addresses and URIs as they are written, and IP addresses as people write them.
 *
 * @throws {RangeError} if the certificate is not well-formed.
 */
export function alternativeNames(certificate: Uint8Array): string[] {
  const [signed] = elements(only(elements(certificate), SEQUENCE));
  const parts = elements(signed?.content ?? new Uint8Array());
  const extensions = parts.filter(({ tag }) => tag === EXTENSIONS)
    .flatMap(({ content }) => elements(only(elements(content), SEQUENCE)));
  return extensions.map(({ content }) => elements(content))
    .filter(([id]) => id?.tag === OBJECT_IDENTIFIER && hex(id.content) === SUBJECT_ALT_NAME)
    .flatMap((extension) => {
      const value = extension.find(({ tag }) => tag === OCTET_STRING)?.content ?? new Uint8Array();
      return elements(only(elements(value), SEQUENCE));
    })
    .flatMap(nameOf);
}

function nameOf({ tag, content }: Element): string[] {
  if (tag === EMAIL || tag === DNS || tag === URI) return [String.fromCharCode(...content)];
  return tag === ADDRESS ? [address(content)] : [];
}

function address(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from(
    { length: bytes.length / 2 },
    (_, at) => hex(bytes.subarray(2 * at, 2 * at + 2), ""),
  );
  // Short, as the URL standard writes it.
  return URL.parse(`http://[${groups.join(":")}]`)?.hostname.slice(1, -1) ?? "";
}

/** What lies one behind the other in a constructed element. */
function elements(bytes: Uint8Array): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at] ?? 0;
    const { length, begin } = lengthAt(bytes, at + 1);
    if (begin + length > bytes.length) throw new RangeError("an element that is longer than what it lies in");
    found.push({ tag, content: bytes.subarray(begin, begin + length) });
    at = begin + length;
  }
  return found;
}

function lengthAt(bytes: Uint8Array, at: number): { length: number; begin: number } {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return { length: first, begin: at + 1 };
  const count = first & 0x7f;
  const digits = [...bytes.subarray(at + 1, at + 1 + count)];
  return { length: digits.reduce((length, digit) => length * 256 + digit, 0), begin: at + 1 + count };
}

function only(found: readonly Element[], tag: number): Uint8Array {
  const [element, ...more] = found;
  if (element?.tag !== tag || more.length > 0) throw new RangeError(`no single element with the tag ${tag}`);
  return element.content;
}

function hex(bytes: Uint8Array, separator = " "): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(separator);
}
