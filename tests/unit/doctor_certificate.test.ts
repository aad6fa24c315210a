/** What the preflight sees of a serving certificate, and says of it. */
import assert from "node:assert/strict";
import { certificateFinding, showCertificate, type ShownCertificate } from "../../src/doctor/certificate.ts";
import { assertFinding, type Expected } from "./doctor_files.ts";
import { listPods, pem, serveBytes, serveTls } from "./kubelet_server.ts";

const text = (name: string) => new TextDecoder().decode(pem(name));

function show(port: number, serverName?: string, ca?: string): Promise<ShownCertificate> {
  return showCertificate({ url: new URL(`https://127.0.0.1:${port}`), serverName, ca, timeoutMs: 5_000 });
}

Deno.test("a certificate is shown with its names, and what it is worth for whom", async () => {
  for (
    const [leaf, name, ca, names, isTrusted, isForName] of [
      ["node1", "node1", "ca.pem", "DNS:node1", true, true],
      ["node1", "node2", "ca.pem", "DNS:node1", true, false],
      ["node1", "node1", "other.pem", "DNS:node1", false, true],
      ["node1", undefined, "ca.pem", "DNS:node1", true, false],
      ["node1", "node1", undefined, "DNS:node1", false, true],
      ["ip", undefined, "ca.pem", "IP Address:127.0.0.1", true, true],
      ["expired", "node1", "ca.pem", "DNS:node1", false, true],
    ] as const
  ) {
    await using server = await serveTls(listPods, { leaf });
    const shown = await show(server.port, name, ca && text(ca));
    const { validFrom, validTo, ...told } = shown;
    assert.deepEqual(told, { names, issuer: "ca", isTrusted, isForName }, `${leaf} for ${name} by ${ca}`);
    const ends = Date.now() + (leaf === "expired" ? -1 : 2) * 86_400_000;
    assert.ok(validFrom.getTime() <= Date.now());
    assert.ok(Math.abs(validTo.getTime() - ends) < 600_000, `${leaf} until ${validTo}`);
  }
});

Deno.test("where nothing speaks TLS there is no certificate, within the time allowed", async () => {
  await using plain = await serveBytes("HTTP/1.1 400 Bad Request\r\n\r\n");
  await assert.rejects(show(plain.port, "node1"));
  await using silent = await serveBytes("", true);
  const url = new URL(`https://127.0.0.1:${silent.port}`);
  await assert.rejects(
    showCertificate({ url, serverName: "node1", ca: undefined, timeoutMs: 50 }),
    /no TLS handshake in 50 ms/,
  );
});

const NOW = Date.UTC(2030, 0, 10);
const GOOD: ShownCertificate = {
  names: "DNS:node1, DNS:node1.example",
  issuer: "cluster-ca",
  validFrom: new Date(NOW - 86_400_000),
  validTo: new Date(NOW + 10 * 86_400_000),
  isTrusted: true,
  isForName: true,
};

const VERDICTS: readonly (readonly [
  what: string,
  shown: Partial<ShownCertificate>,
  caFile: string | undefined,
  Expected,
])[] = [
  ["is good", {}, "ca.crt", [
    "ok",
    /^for DNS:node1, .* signed by cluster-ca.* 2030-01-20.*; fits node1 and ca\.crt$/,
  ]],
  ["is good by a system CA", {}, undefined, ["ok", /fits node1 and the system's CAs$/]],
  ["ends soon", { validTo: new Date(NOW + 3_600_000) }, "ca.crt", [
    "warn",
    /less than a day$/,
    /rotateCertificates/,
  ]],
  ["is over", { validTo: new Date(NOW - 1), isTrusted: false }, "ca.crt", [
    "fail",
    /; not valid now$/,
    /^renew/,
  ]],
  ["is early", { validFrom: new Date(NOW + 1), isTrusted: false }, "ca.crt", [
    "fail",
    /; not valid now$/,
    /clock$/,
  ]],
  ["is signed by others", { isTrusted: false }, "ca.crt", [
    "fail",
    /; not signed by a CA in ca\.crt$/,
    /^set KPOD_KUBELET_CA_FILE to the certificate of cluster-ca/,
  ]],
  ["is for others", { isForName: false }, "ca.crt", [
    "fail",
    /; not for node1$/,
    /^set KPOD_KUBELET_SERVER_NAME to a name it is for, such as node1$/,
  ]],
  ["is for addresses only", { isForName: false, names: "IP Address:10.0.0.1" }, "ca.crt", [
    "fail",
    /; not for node1$/,
    /address that it is for into KPOD_KUBELET_URL/,
  ]],
  ["is wrong in both ways", { isForName: false, isTrusted: false }, undefined, [
    "fail",
    /; not signed by a CA in the system's store, and not for node1$/,
    /KPOD_KUBELET_CA_FILE.*; set KPOD_KUBELET_SERVER_NAME/,
  ]],
];

for (const [what, shown, caFile, expected] of VERDICTS) {
  Deno.test(`a certificate that ${what} is ${expected[0]}`, () => {
    assertFinding(certificateFinding({ ...GOOD, ...shown }, "node1", caFile, NOW), expected);
  });
}
