/** What guards the endpoint: any configuration file and any client's certificate are read right or refused. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { alternativeNames } from "../../src/web/alternative_names.ts";
import { parseWebConfig } from "../../src/web/web_config.ts";
import { WebConfigProblems } from "../../src/web/web_config_error.ts";
import { anyText, property } from "./property.ts";

/** A DER element. */
function der(tag: number, ...parts: readonly (readonly number[])[]): number[] {
  const content = parts.flat();
  const long = content.length < 256
    ? [0x81, content.length]
    : [0x82, content.length >> 8, content.length & 255];
  return [tag, ...(content.length < 128 ? [content.length] : long), ...content];
}

/** As much of a certificate as says what it is for. */
function certificate(names: readonly (readonly number[])[]): number[] {
  const value = der(0x04, der(0x30, ...names));
  const extension = der(0x30, der(0x06, [0x55, 0x1d, 0x11]), der(0x01, [255]), value);
  return der(0x30, der(0x30, der(0x02, [1]), der(0xa3, der(0x30, extension))), der(0x30), der(0x03));
}

const ascii = fc.string({ unit: "binary-ascii", maxLength: 200 });
const bytesOf = (text: string) => [...new TextEncoder().encode(text)];

property("a certificate's names are those it has, commas and all", [
  fc.array(fc.tuple(fc.constantFrom(0x81, 0x82, 0x86), ascii), { maxLength: 5 }),
  fc.array(fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)), { maxLength: 2 }),
], (texts, addresses) => {
  const names = [
    ...texts.map(([tag, text]) => der(tag, bytesOf(text))),
    ...addresses.map((address) => der(0x87, address)),
  ];
  const expected = [...texts.map(([, text]) => text), ...addresses.map((address) => address.join("."))];
  assert.deepEqual(alternativeNames(Uint8Array.from(certificate(names))), expected);
});

property("a certificate that is damaged is read, or refused as not well-formed", [
  fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 3 }),
  fc.nat(200),
  fc.uint8Array({ maxLength: 20 }),
], (damages, cut, address) => {
  const bytes = Uint8Array.from(certificate([der(0x82, bytesOf("node")), der(0x87, [...address])]));
  for (const [at, byte] of damages) if (at < bytes.length) bytes[at] = byte;
  try {
    assert.ok(alternativeNames(bytes.subarray(0, cut)).every((name) => typeof name === "string"));
  } catch (error) {
    assert.ok(error instanceof RangeError, String(error));
  }
});

const yaml = fc.array(fc.oneof(
  fc.constantFrom(
    "tls_server_config:\n",
    "http_server_config:\n",
    "basic_auth_users:\n",
    "rate_limit: ",
    "  headers:\n",
  ),
  fc.constantFrom(
    "  cert_file: c\n",
    "  key_file: k\n",
    "  key: ",
    "  client_ca: |\n    ",
    "  min_version: TLS13\n",
  ),
  fc.constantFrom(
    "  ann: SECRET\n",
    "  ann: '$2y$10$SECRET'\n",
    "[",
    "{",
    "&a ",
    "*a",
    "!!js/function ",
    "- ",
    "<<: *a\n",
  ),
  fc.constantFrom(
    "  key: SECRET\n",
    '  cert: "SECRET',
    "  client_allowed_sans: [a, b]\n",
    "__proto__: SECRET\n",
  ),
  anyText,
)).map((parts) => parts.join(""));

property("any file is a web configuration, or is refused with no secret in what is said", [yaml], (text) => {
  try {
    const { users } = parseWebConfig(text);
    for (const hash of users.values()) assert.match(hash, /^\$2[aby]\$/);
  } catch (error) {
    assert.ok(error instanceof WebConfigProblems, String(error));
    assert.ok(error.problems.length > 0);
    assert.deepEqual(error.problems.filter((problem) => /\n/.test(problem)), []);
    assert.doesNotMatch(error.message, /SECRET/);
  }
});
