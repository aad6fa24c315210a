/** What the preflight sees of a serving certificate, and says of it. */
import assert from "node:assert/strict";
import { showCertificate, type ShownCertificate } from "../../src/discovery/kubelet_certificate.ts";
import {
  certificateFinding,
  type CertificateSettings,
  lookAtCertificate,
} from "../../src/doctor/certificate.ts";
import { assertFinding, type Expected } from "./doctor_files.ts";
import { listPods, pem, readFrom, serveBytes, serveTls, text } from "./kubelet_server.ts";

function show(port: number, names: readonly string[], ca: string): Promise<ShownCertificate> {
  return showCertificate({
    url: new URL(`https://127.0.0.1:${port}`),
    names,
    ca: text(ca),
    timeoutMs: 5_000,
  });
}

Deno.test("a certificate is shown with its names, and what it is worth for whom", async () => {
  const node = "node1@1700000000";
  for (
    const [leaf, names, ca, shown, subject, issuer, isTrusted, fittingName] of [
      ["node1", ["node1"], "ca.pem", "DNS:node1", node, "ca", true, "node1"],
      ["node1", ["127.0.0.1", "node1"], "ca.pem", "DNS:node1", node, "ca", true, "node1"],
      ["node1", ["node2"], "ca.pem", "DNS:node1", node, "ca", true, undefined],
      ["node1", ["node1"], "other.pem", "DNS:node1", node, "ca", false, "node1"],
      [
        "ip",
        ["node1", "127.0.0.1"],
        "ca.pem",
        "IP Address:127.0.0.1",
        "ip@1700000000",
        "ca",
        true,
        "127.0.0.1",
      ],
      ["expired", ["node1"], "ca.pem", "DNS:node1", "expired@1700000000", "ca", false, "node1"],
      ["self-cn", ["node1"], "self-cn.pem", "CN=node1", "node1", "node1", true, "node1"],
    ] as const
  ) {
    await using server = await serveTls(listPods, { leaf });
    const { validFrom, validTo, ...told } = await show(server.port, names, ca);
    const expected = { names: shown, subject, issuer, isTrusted, fittingName };
    assert.deepEqual(told, expected, `${leaf} for ${names} by ${ca}`);
    if (leaf === "self-cn") continue;
    const ends = leaf === "expired" ? "2021-01-01T00:00:00.000Z" : "2049-01-01T00:00:00.000Z";
    assert.deepEqual([validFrom.toISOString(), validTo.toISOString()], ["2020-01-01T00:00:00.000Z", ends]);
  }
});

Deno.test("where nothing speaks TLS there is no certificate, within the time allowed", async () => {
  await using plain = await serveBytes("HTTP/1.1 400 Bad Request\r\n\r\n");
  await assert.rejects(show(plain.port, ["node1"], "ca.pem"));
  await using silent = await serveBytes("", true);
  const url = new URL(`https://127.0.0.1:${silent.port}`);
  await assert.rejects(
    showCertificate({ url, names: ["node1"], ca: text("ca.pem"), timeoutMs: 50 }),
    /no TLS handshake in 50 ms/,
  );
});

const NOW = Date.UTC(2030, 0, 10);
const DAY_MS = 86_400_000;
const GOOD: ShownCertificate = {
  names: "DNS:node1, DNS:node1.example",
  subject: "node1",
  issuer: "cluster-ca",
  validFrom: new Date(NOW - DAY_MS),
  validTo: new Date(NOW + 10 * DAY_MS),
  isTrusted: true,
  fittingName: "node1",
};
const OWN = { subject: "node1@1890000000", issuer: "node1-ca@1890000000" };
const OVER = { validTo: new Date(NOW - 1), isTrusted: false };

const VERDICTS: readonly (readonly [what: string, shown: Partial<ShownCertificate>, Expected])[] = [
  ["is good", {}, [
    "ok",
    /^for DNS:node1, .* signed by cluster-ca.* to 2030-01-20 00:00 UTC; fits node1 and ca\.crt$/,
  ]],
  ["is good by its address", { fittingName: "10.0.0.1" }, ["ok", /; fits 10\.0\.0\.1 and ca\.crt$/]],
  ["ends soon", { validTo: new Date(NOW + 3_600_000) }, ["warn", /less than a day$/, /rotateCertificates/]],
  ["is over", OVER, [
    "fail",
    /^for DNS:node1.* UTC, which expired at 2030-01-09 23:59 UTC$/,
    /^renew .*serverTLSBootstrap: kubectl get csr.*clock right$/,
  ]],
  ["is the kubelet's own and over", { ...OVER, ...OWN }, [
    "fail",
    /signed by node1-ca@1890000000, .*, which expired at 2030-01-09 23:59 UTC$/,
    /delete kubelet\.crt and kubelet\.key .* restart the kubelet, then this pod; or .*serverTLSBootstrap: true/,
  ]],
  ["is early", { validFrom: new Date(NOW + 60_000), isTrusted: false }, [
    "fail",
    /, which is not valid before 2030-01-10 00:01 UTC$/,
    /^set this node's clock right, by which it is 2030-01-10 00:00 UTC$/,
  ]],
  ["is signed by others", { isTrusted: false }, [
    "fail",
    /, which no CA in ca\.crt vouches for$/,
    /^name a file with the certificate of cluster-ca in KPOD_KUBELET_CA_FILE too$/,
  ]],
  ["is signed by nobody with a name", { isTrusted: false, issuer: "" }, [
    "fail",
    /^for DNS:node1, DNS:node1\.example, valid from .*, which no CA in ca\.crt vouches for$/,
    /^name a file with the certificate of its signer in KPOD_KUBELET_CA_FILE too$/,
  ]],
  ["is its own authority", { isTrusted: false, issuer: "node1" }, [
    "fail",
    /no CA in ca\.crt vouches for$/,
    /this very certificate/,
  ]],
  ["is the kubelet's own and unknown", { isTrusted: false, ...OWN }, [
    "fail",
    /no CA in ca\.crt vouches for$/,
    /^this kubelet signs its own .*\/var\/lib\/kubelet\/pki\/kubelet\.crt .*restart this pod/,
  ]],
  ["is for others", { fittingName: undefined }, [
    "fail",
    /, which is not for 10\.0\.0\.1 or node1$/,
    /KPOD_KUBELET_URL .* set KPOD_KUBELET_SERVER_NAME to a name it is for, such as node1$/,
  ]],
  ["is for addresses only", { fittingName: undefined, names: "IP Address:10.0.0.7" }, [
    "fail",
    /, which is not for 10\.0\.0\.1 or node1$/,
    /such as 10\.0\.0\.7$/,
  ]],
  ["is for nobody", { fittingName: undefined, names: "" }, [
    "fail",
    /^for no name, .* is not for/,
    /with the node's name$/,
  ]],
  ["is wrong in both ways", { fittingName: undefined, isTrusted: false }, [
    "fail",
    /, which no CA in ca\.crt vouches for and which is not for 10\.0\.0\.1 or node1$/,
    /KPOD_KUBELET_CA_FILE too; check .*KPOD_KUBELET_SERVER_NAME/,
  ]],
];

for (const [what, shown, expected] of VERDICTS) {
  Deno.test(`a certificate that ${what} is ${expected[0]}`, () => {
    const finding = certificateFinding({ ...GOOD, ...shown }, {
      names: ["10.0.0.1", "node1"],
      source: "ca.crt",
    }, NOW);
    assertFinding(finding, expected);
  });
}

const RISK =
  /^not verified: whoever answers at https:\/\/127\.0\.0\.1:\d+ is believed and gets the token in token; /;

/** Advice where nobody verifies is what would be in the way of verifying. */
const LOOKS: readonly (readonly [what: string, settings: Partial<CertificateSettings>, Expected, RegExp])[] =
  [
    ["is good", {}, ["ok", /^for DNS:node1, .*; fits node1 and ca$/], /^unset KPOD_KUBELET_INSECURE_TLS$/],
    [
      "is wrong",
      { caFiles: ["other", "none"] },
      [
        "fail",
        /^for DNS:node1, .* no CA in other \(there is no none\) vouches for$/,
        /KPOD_KUBELET_CA_FILE too$/,
      ],
      /KPOD_KUBELET_CA_FILE too; then unset KPOD_KUBELET_INSECURE_TLS$/,
    ],
    [
      "cannot be judged without authorities",
      { caFiles: ["none"] },
      ["fail", /^Cannot read CA certificates in none: got no such file$/, /^set KPOD_KUBELET_CA_FILE/],
      /^set KPOD_KUBELET_CA_FILE.*; then unset KPOD_KUBELET_INSECURE_TLS$/,
    ],
  ];

for (const [what, settings, expected, advice] of LOOKS) {
  Deno.test(`a certificate that ${what} is told of, with the risk where nobody verifies it`, async () => {
    await using server = await serveTls(listPods);
    const url = new URL(`https://127.0.0.1:${server.port}`);
    const look = (insecureTls: boolean) =>
      lookAtCertificate({
        url,
        serverNames: ["127.0.0.1", "node1"],
        caFiles: ["ca"],
        tokenFile: "token",
        timeoutMs: 5_000,
        insecureTls,
        ...settings,
      }, readFrom({ ca: pem("ca.pem"), other: pem("other.pem") }));
    const [verified, ...more] = await look(false);
    assertFinding(verified, expected);
    const [unverified, ...others] = await look(true);
    assertFinding(unverified, ["warn", RISK, advice]);
    assert.ok(unverified?.found.endsWith(`; ${verified?.found}`), unverified?.found);
    assert.deepEqual([more, others], [[], []]);
  });
}

Deno.test("over plain HTTP there is no certificate to look at", async () => {
  const url = new URL("http://127.0.0.1:1");
  const none = { url, serverNames: [], caFiles: [], tokenFile: undefined, timeoutMs: 1, insecureTls: true };
  assert.deepEqual(await lookAtCertificate(none, readFrom({})), []);
});
