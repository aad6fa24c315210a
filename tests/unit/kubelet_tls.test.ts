import assert from "node:assert/strict";
import type { KubeletOptions } from "../../src/discovery/kubelet.ts";
import { ask, enc, failsWith, LIST, listPods, pem, serveTls } from "./kubelet_server.ts";

Deno.test("without a server name the address of the URL must be in the certificate", async () => {
  await using byAddress = await serveTls(listPods, { leaf: "ip" });
  assert.deepEqual(await ask(byAddress.port, { serverName: undefined }), LIST);
  await using byName = await serveTls(listPods);
  await failsWith(
    ask(byName.port, { serverName: undefined }),
    "tls",
    /not for 127\.0\.0\.1/,
    /KPOD_KUBELET_SERVER_NAME/,
  );
});

const TLS_REFUSALS:
  readonly (readonly [what: string, leaf: string, options: Partial<KubeletOptions>, says: RegExp])[] = [
    ["signed by another CA", "node1", { caFile: "other" }, /no CA in other .*KPOD_KUBELET_CA_FILE/],
    ["signed by no system CA", "node1", { caFile: undefined }, /no system CA .*KPOD_KUBELET_CA_FILE/],
    ["for another name", "node1", { serverName: "node2" }, /not for node2: set KPOD_KUBELET_SERVER_NAME/],
    ["for the address, with a name expected", "ip", {}, /not for node1: set KPOD_KUBELET_SERVER_NAME/],
    ["expired", "expired", {}, /expired; renew the kubelet's serving certificate/],
  ];

for (const [what, leaf, options, says] of TLS_REFUSALS) {
  Deno.test(`no token goes to a server whose certificate is wrong: ${what}`, async () => {
    let requests = 0;
    await using server = await serveTls((request, response) => {
      requests++;
      listPods(request, response);
    }, { leaf });
    await failsWith(ask(server.port, { tokenFile: "token", ...options }), "tls", says);
    assert.deepEqual(
      await ask(server.port, { ...options, insecureSkipVerify: true }),
      LIST,
      "and any will do if told so",
    );
    assert.equal(requests, 1, "the refused poll sent nothing");
  });
}

Deno.test("a good poll does not open the door for later ones with other TLS settings", async () => {
  await using server = await serveTls((request, response) => {
    response.setHeader("connection", "keep-alive");
    listPods(request, response);
  });
  assert.deepEqual(await ask(server.port), LIST);
  await failsWith(ask(server.port, { caFile: "other" }), "tls");
  await failsWith(ask(server.port, { serverName: "node2" }), "tls");
});

Deno.test("a client certificate is shown where the server wants one, from two files or from one", async () => {
  await using server = await serveTls(listPods, { requestCert: true });
  const pair = { cert: pem("ip.pem"), key: pem("ip.key") };
  const both = enc.encode(new TextDecoder().decode(pair.cert) + new TextDecoder().decode(pair.key));
  assert.deepEqual(await ask(server.port, { certFile: "cert", keyFile: "key" }, pair), LIST);
  assert.deepEqual(await ask(server.port, { certFile: "both", keyFile: "both" }, { both }), LIST);
  await failsWith(ask(server.port), "tls", /KPOD_KUBELET_CERT_FILE and KPOD_KUBELET_KEY_FILE/);
});

const CREDENTIALS: readonly (readonly [what: string, options: Partial<KubeletOptions>, says: RegExp])[] = [
  [
    "a token file that is not there",
    { tokenFile: "none" },
    /in none: got No such file.*KPOD_KUBELET_TOKEN_FILE/,
  ],
  ["an empty token file", { tokenFile: "empty" }, /in empty: got an empty file; set KPOD_KUBELET_TOKEN_FILE/],
  ["a token of two lines", { tokenFile: "ca" }, /characters that no token has.*KPOD_KUBELET_TOKEN_FILE/],
  ["a CA file that is not there", { caFile: "none" }, /KPOD_KUBELET_CA_FILE/],
  ["a CA file without certificates", { caFile: "empty" }, /no such PEM block.*KPOD_KUBELET_CA_FILE/],
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
    };
    await failsWith(ask(server.port, options, files), "credentials", says);
    assert.equal(asked, false);
  });
}
