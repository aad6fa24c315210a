/** Files with credentials that cannot be used. */
import assert from "node:assert/strict";
import type { KubeletOptions } from "../../src/discovery/kubelet.ts";
import { ask, enc, failsWith, listPods, pem, serveTls } from "./kubelet_server.ts";

const CREDENTIALS: readonly (readonly [what: string, options: Partial<KubeletOptions>, says: RegExp])[] = [
  [
    "a token file that is not there",
    { tokenFile: "none" },
    /in none: got Cannot open none: ENOENT .*KPOD_KUBELET_TOKEN_FILE/,
  ],
  ["an empty token file", { tokenFile: "empty" }, /in empty: got an empty file; set KPOD_KUBELET_TOKEN_FILE/],
  ["a token of two lines", { tokenFile: "ca" }, /characters that no token has.*KPOD_KUBELET_TOKEN_FILE/],
  [
    "a CA file that is not there",
    { caFiles: ["none"] },
    /^Cannot read CA certificates in none: got no such file; set KPOD_KUBELET_CA_FILE to the CA that signed/,
  ],
  [
    "CA files none of which is there",
    { caFiles: ["none", "nothing"] },
    /^Cannot read CA certificates in none or nothing: got no such file; set KPOD_KUBELET_CA_FILE/,
  ],
  [
    "a CA file without certificates",
    { caFiles: ["empty"] },
    /^Cannot read CA certificates in empty: got no such PEM block in it; set KPOD_KUBELET_CA_FILE to a PEM file$/,
  ],
  [
    "a CA file without certificates beside a good one",
    { caFiles: ["ca", "key"] },
    /^Cannot read CA certificates in key: got no such PEM block/,
  ],
  [
    "a CA file that may not be read beside a good one",
    { caFiles: ["ca", "secret"] },
    /^Cannot read CA certificates in secret: got Cannot open secret: EACCES.*; set KPOD_KUBELET_CA_FILE to a file this/,
  ],
  [
    "a certificate without its key",
    { certFile: "cert" },
    /KPOD_KUBELET_CERT_FILE alone; set KPOD_KUBELET_KEY_FILE/,
  ],
  [
    "a key without its certificate",
    { keyFile: "key" },
    /KPOD_KUBELET_KEY_FILE alone; set KPOD_KUBELET_CERT_FILE/,
  ],
  [
    "a key of another certificate",
    { certFile: "cert", keyFile: "wrong" },
    /the key in wrong does not belong to/,
  ],
  [
    "a certificate as key",
    { certFile: "cert", keyFile: "cert" },
    /client key in cert: got no such PEM block/,
  ],
];

for (const [what, options, says] of CREDENTIALS) {
  Deno.test(`no request is made with bad credentials: ${what}`, async () => {
    let asked = false;
    await using server = await serveTls((request, response) => {
      asked = true;
      listPods(request, response);
    });
    const files = {
      empty: enc.encode(" \n"),
      cert: pem("ip.pem"),
      key: pem("ip.key"),
      wrong: pem("node1.key"),
      secret: Object.assign(new Error("Cannot open secret: EACCES (permission denied)"), { code: "EACCES" }),
    };
    await failsWith(ask(server.port, options, files), "credentials", says);
    assert.equal(asked, false);
  });
}
