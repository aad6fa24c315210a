/** Which kubelets are believed to be the node's own, and what is said of the others. */
import assert from "node:assert/strict";
import net from "node:net";
import { createKubeletClient, type KubeletOptions } from "../../src/discovery/kubelet.ts";
import {
  ask,
  enc,
  failsWith,
  identity,
  LIST,
  listen,
  listPods,
  pem,
  readFrom,
  serveBytes,
  serveTls,
} from "./kubelet_server.ts";
import { HAS_IPV6 } from "./ipv6.ts";

type Options = Partial<KubeletOptions>;

/** As in the DaemonSet: the cluster's authority, and a copy of the kubelet's own certificate if it has one. */
const WITH_KUBELET = { caFiles: ["ca", "kubelet"] };

const BELIEVED: readonly (readonly [what: string, leaf: string, options: Options])[] = [
  ["signed by the cluster's CA for the node's name", "node1", {}],
  ["for the node's address alone", "ip", {}],
  ["for the node's address and another name", "renamed", {}],
  ["for the node's name and another address", "moved", {}],
  ["for the one address expected", "ip", { serverNames: ["127.0.0.1"] }],
  ["for the one name expected", "moved", { serverNames: ["node1"] }],
  ["signed by the second CA of two", "node1", { caFiles: ["other", "ca"] }],
  ["signed by the CA that exists", "node1", { caFiles: ["none", "ca", "none either"] }],
  ["the kubelet's own, leaf and authority in one file", "kubelet", WITH_KUBELET],
  ["the kubelet's own, where there is no cluster's CA", "kubelet", { caFiles: ["none", "kubelet"] }],
  ["signed by the CA, with a kubelet's own trusted too", "node1", WITH_KUBELET],
  ["its own authority", "self", { caFiles: ["ca", "self"] }],
  ["its own authority without being a CA's", "self-leaf", { caFiles: ["ca", "self-leaf"] }],
  ["its own authority, with the name as common name alone", "self-cn", { caFiles: ["ca", "self-cn"] }],
];

for (const [what, leaf, options] of BELIEVED) {
  Deno.test(`a kubelet is believed whose certificate is ${what}`, async () => {
    await using server = await serveTls(listPods, { leaf });
    assert.deepEqual(await ask(server.port, options), LIST);
  });
}

const ASK_CA = "name a file with the certificate of ca in KPOD_KUBELET_CA_FILE too";
const ASK_KUBELET = "this kubelet signs its own certificate: name a copy of the node's " +
  "/var/lib/kubelet/pki/kubelet.crt in KPOD_KUBELET_CA_FILE too; if it names one, that is missing or of an older certificate: " +
  "restart this pod to copy it anew";
const ASK_NAME = (name: string) =>
  `check that KPOD_KUBELET_URL is this node's kubelet, and set KPOD_KUBELET_SERVER_NAME to a name it is for, such as ${name}`;

/** What is got, whole but for the dates of certificates made now, and the advice. */
const REFUSED: readonly (readonly [what: string, leaf: string, Options, got: string, advice: string])[] = [
  ["signed by another CA", "node1", { caFiles: ["other"] }, "no CA in other vouches for", ASK_CA],
  [
    "signed by another CA than the one that exists",
    "node1",
    { caFiles: ["other", "none", "none either"] },
    "no CA in other (there is no none, no none either) vouches for",
    ASK_CA,
  ],
  [
    "for another name and address",
    "stranger",
    {},
    "is not for 127.0.0.1 or node1",
    ASK_NAME("node2"),
  ],
  ["for another address alone", "stranger-ip", {}, "is not for 127.0.0.1 or node1", ASK_NAME("10.0.0.9")],
  [
    "for the address, where a name is set",
    "renamed",
    { serverNames: ["node1"] },
    "is not for node1",
    ASK_NAME("node1.example"),
  ],
  [
    "for the name, where an address is set",
    "moved",
    { serverNames: ["127.0.0.1"] },
    "is not for 127.0.0.1",
    ASK_NAME("node1"),
  ],
  ["for nobody expected", "node1", { serverNames: [] }, "is not for ", ASK_NAME("node1")],
  [
    "for another name, with a kubelet's own trusted too",
    "stranger",
    WITH_KUBELET,
    "is not for 127.0.0.1 or node1",
    ASK_NAME("node2"),
  ],
  [
    "the kubelet's own for another name",
    "kubelet",
    { ...WITH_KUBELET, serverNames: ["127.0.0.1", "node2"] },
    "is not for 127.0.0.1 or node2",
    ASK_NAME("node1"),
  ],
  [
    "its own authority for another name",
    "self-cn",
    { caFiles: ["ca", "self-cn"], serverNames: ["127.0.0.1", "node2"] },
    "is not for 127.0.0.1 or node2",
    ASK_NAME("node1"),
  ],
  ["the kubelet's own, not trusted", "kubelet", {}, "no CA in ca vouches for", ASK_KUBELET],
  [
    "its own authority, not trusted",
    "self",
    {},
    "no CA in ca vouches for",
    "name a file with this very certificate in KPOD_KUBELET_CA_FILE too",
  ],
  [
    "its own authority by the name of one that is trusted",
    "self-impostor",
    { caFiles: ["self"] },
    "no CA in self vouches for",
    "name a file with this very certificate in KPOD_KUBELET_CA_FILE too",
  ],
  ["a client's, signed by the cluster's CA", "client", {}, "no CA in ca vouches for", ASK_CA],
  [
    "of another CA and for another name",
    "stranger",
    { caFiles: ["other"] },
    "no CA in other vouches for and which is not for 127.0.0.1 or node1",
    `${ASK_CA}; ${ASK_NAME("node2")}`,
  ],
  [
    "expired",
    "expired",
    {},
    "expired at 2021-01-01 00:00 UTC",
    "renew the kubelet's serving certificate (with serverTLSBootstrap: kubectl get csr shows whether its request waits " +
    "for approval), or set this node's clock right",
  ],
  [
    "the kubelet's own, expired",
    "kubelet-expired",
    { caFiles: ["kubelet-expired"] },
    "expired at 2021-01-01 00:00 UTC",
    "a kubelet's own certificate lasts a year: delete kubelet.crt and kubelet.key in /var/lib/kubelet/pki on the " +
    "node, restart the kubelet, then this pod; or set serverTLSBootstrap: true in the kubelet's configuration",
  ],
  [
    "not valid yet",
    "early",
    {},
    "is not valid before 2048-01-01 00:00 UTC",
    "set this node's clock right, by which it is ",
  ],
];

for (const [what, leaf, options, got, advice] of REFUSED) {
  Deno.test(`no token goes to a server whose certificate is ${what}`, async () => {
    let requests = 0;
    await using server = await serveTls((request, response) => {
      requests++;
      listPods(request, response);
    }, { leaf });
    const poll = ask(server.port, { tokenFile: "token", ...options });
    const url = `https://127.0.0.1:${server.port}/pods`;
    await failsWith(
      poll,
      "tls",
      new RegExp(
        `^${RegExp.escape(`Cannot list pods at ${url}: got a certificate for `)}(DNS:|IP Address:|CN=)`,
      ),
      /, signed by [\w@-]+, valid from \d{4}-\d\d-\d\d \d\d:\d\d to \d{4}-\d\d-\d\d \d\d:\d\d UTC, which /,
      new RegExp(RegExp.escape(`, which ${got}; ${advice}`)),
    );
    const insecure = { ...options, caFiles: ["none"], insecureTls: true };
    assert.deepEqual(await ask(server.port, insecure), LIST, "and any will do if told so");
    assert.equal(requests, 1, "the refused poll sent nothing");
  });
}

Deno.test("the token goes to anybody who answers where verification is off", async () => {
  let authorization: string | undefined;
  await using server = await serveTls((request, response) => {
    authorization = request.headers.authorization;
    listPods(request, response);
  }, { leaf: "self-impostor" });
  assert.deepEqual(await ask(server.port, { insecureTls: true, caFiles: [], tokenFile: "token" }), LIST);
  assert.equal(authorization, "Bearer t0ken");
});

Deno.test(
  "an IPv6 address is looked for in the certificate as an IPv4 address is",
  { ignore: !HAS_IPV6 },
  async () => {
    await using server = await serveTls(listPods, { leaf: "ip6", host: "::1" });
    const url = new URL(`https://[::1]:${server.port}`);
    assert.deepEqual(await ask(0, { url, serverNames: ["0:0::1"] }), LIST);
    await failsWith(ask(0, { url, serverNames: ["::2", "node1"] }), "tls", /which is not for ::2 or node1; /);
  },
);

Deno.test("a good poll does not open the door for later ones with other TLS settings", async () => {
  await using server = await serveTls((request, response) => {
    response.setHeader("connection", "keep-alive");
    listPods(request, response);
  });
  assert.deepEqual(await ask(server.port), LIST);
  await failsWith(ask(server.port, { caFiles: ["other"] }), "tls");
  await failsWith(ask(server.port, { serverNames: ["node2"] }), "tls");
});

Deno.test("a certificate, CA and token that are renewed in place are in force at the next poll", async () => {
  const tokens: unknown[] = [];
  await using tls = await serveTls((request, response) => {
    tokens.push(request.headers.authorization);
    listPods(request, response);
  });
  const files: Record<string, Uint8Array> = { ca: pem("ca.pem"), token: enc.encode("first") };
  const { fetchPods } = createKubeletClient({
    url: new URL(`https://127.0.0.1:${tls.port}`),
    serverNames: ["node1"],
    tokenFile: "token",
    caFiles: ["ca", "kubelet"],
    timeoutMs: 5_000,
  }, (path) => readFrom(files)(path));
  assert.deepEqual(await fetchPods(), LIST);
  tls.server.setSecureContext(identity("kubelet"));
  await failsWith(
    fetchPods(),
    "tls",
    /signed by node1-ca@1700000000, .* no CA in ca \(there is no kubelet\) vouches/,
  );
  files.kubelet = pem("kubelet.pem");
  assert.deepEqual(await fetchPods(), LIST);
  files.token = enc.encode("second");
  delete files.ca;
  assert.deepEqual(await fetchPods(), LIST);
  assert.deepEqual(tokens, ["Bearer first", "Bearer first", "Bearer second"]);
});

Deno.test("looking at a refused certificate ends when the poll is called off", async () => {
  await using server = await serveTls(listPods);
  const stopping = new AbortController();
  let connections = 0;
  // The second connection, on which the certificate is looked at, gets no answer.
  await using relay = await listen(net.createServer((socket) => {
    socket.on("error", () => {});
    if (++connections > 1) return stopping.abort();
    const onward = net.connect(server.port, "127.0.0.1").on("error", () => {});
    socket.pipe(onward).pipe(socket);
  }));
  const { fetchPods } = createKubeletClient({
    url: new URL(`https://127.0.0.1:${relay.port}`),
    serverNames: ["node1"],
    caFiles: ["other"],
    timeoutMs: 60_000,
  }, readFrom({ other: pem("other.pem") }));
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("the poll goes on")), 30_000);
  const poll = Promise.race([fetchPods(stopping.signal), late.promise]);
  await failsWith(poll, "tls", /; check KPOD_KUBELET_URL and KPOD_KUBELET_CA_FILE/).finally(() =>
    clearTimeout(timer)
  );
  assert.equal(connections, 2);
});

Deno.test("a kubelet without a certificate is told from one with a wrong certificate", async () => {
  // TLS 1.2's record of a fatal alert, internal_error.
  await using server = await serveBytes("\x15\x03\x03\x00\x02\x02\x50");
  await failsWith(
    ask(server.port),
    "tls",
    /no serving certificate yet: .* waits for approval \(kubectl get csr/,
  );
});

Deno.test("a client certificate is shown where the server wants one, from two files or from one", async () => {
  await using server = await serveTls(listPods, { requestCert: true });
  const pair = { cert: pem("client.pem"), key: pem("client.key") };
  const both = enc.encode(new TextDecoder().decode(pair.cert) + new TextDecoder().decode(pair.key));
  assert.deepEqual(await ask(server.port, { certFile: "cert", keyFile: "key" }, pair), LIST);
  assert.deepEqual(await ask(server.port, { certFile: "both", keyFile: "both" }, { both }), LIST);
  await failsWith(ask(server.port), "tls", /KPOD_KUBELET_CERT_FILE and KPOD_KUBELET_KEY_FILE/);
});
