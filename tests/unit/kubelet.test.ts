import assert from "node:assert/strict";
import type http from "node:http";
import settings from "../../deno.json" with { type: "json" };
import { createKubeletClient, KubeletError, type KubeletOptions } from "../../src/discovery/kubelet.ts";
import { networkError, PERMITTED_ADDRESSES } from "../../src/discovery/kubelet_error.ts";
import {
  answer,
  ask,
  failsWith,
  LIST,
  listPods,
  pem,
  serveBytes,
  servePlain,
  serveTls,
} from "./kubelet_server.ts";

Deno.test("pods are listed over TLS from a kubelet whose certificate has the node's name", async () => {
  let seen: http.IncomingMessage | undefined;
  await using server = await serveTls((request, response) => {
    seen = request;
    listPods(request, response);
  });
  assert.deepEqual(await ask(server.port, { tokenFile: "token" }), LIST);
  assert.deepEqual([seen?.method, seen?.url], ["GET", "/pods"]);
  assert.equal(seen?.headers.authorization, "Bearer t0ken");
  const { servername } = seen?.socket as unknown as { servername: string };
  assert.equal(servername, "node1", "a server with several certificates is told which one to show");
});

/** Without TLS there is nobody to trust. */
const NOTHING = { serverNames: [], caFiles: [] };

const TOKEN = { tokenFile: "token" };
const CERTIFICATE = { certFile: "node1", keyFile: "key" };
const SERVICE_ACCOUNT = "system:serviceaccount:kpod-metrics:kpod-metrics";

/** Bodies are a kubelet's own words. */
const STATUSES: readonly (readonly [number, string, string, Partial<KubeletOptions>, RegExp])[] = [
  [
    401,
    "Unauthorized",
    "unauthorized",
    TOKEN,
    /401 \(Unauthorized\); the kubelet did not accept the token in token: .*audience.* authentication\.webhook\.enabled/,
  ],
  [
    401,
    "Unauthorized",
    "unauthorized",
    CERTIFICATE,
    /; the kubelet did not accept the client certificate in node1: check that its client CA signed it$/,
  ],
  [401, "Unauthorized", "unauthorized", {}, /; no credentials were sent: set KPOD_KUBELET_TOKEN_FILE$/],
  [
    403,
    `Forbidden (user=${SERVICE_ACCOUNT}, verb=get, resource=nodes, subresource(s)=[pods proxy])\n`,
    "forbidden",
    TOKEN,
    /; bind system:serviceaccount:kpod-metrics:kpod-metrics to a ClusterRole with the verb get on nodes\/pods$/,
  ],
  [
    403,
    `Forbidden (user=${SERVICE_ACCOUNT}, verb=get, resource=nodes, subresource(s)=[proxy])`,
    "forbidden",
    TOKEN,
    /:kpod-metrics to a ClusterRole with the verb get on nodes\/proxy: .* does not know nodes\/pods, .* 1\.33 on$/,
  ],
  [
    403,
    "Forbidden (user=a, verb=get, resource=x, y, verb=get, resource=nodes, subresource=proxy)",
    "forbidden",
    TOKEN,
    /; bind a, verb=get, resource=x, y to a ClusterRole with the verb get on nodes\/proxy: this kubelet/,
  ],
  [
    403,
    "Forbidden (user=system:anonymous, verb=get, resource=nodes, subresource(s)=[pods proxy])",
    "forbidden",
    TOKEN,
    /; the kubelet did not look at what is in token: set authentication\.webhook\.enabled in its configuration$/,
  ],
  [
    403,
    "Forbidden (user=system:anonymous, verb=get, resource=nodes, subresource(s)=[pods proxy])",
    "forbidden",
    CERTIFICATE,
    /; the kubelet did not look at what is in node1: set authentication\.x509\.clientCAFile in its configuration$/,
  ],
  [
    403,
    "Forbidden (user=system:anonymous, verb=get, resource=nodes, subresource=proxy)",
    "forbidden",
    {},
    /; no credentials were sent: set KPOD_KUBELET_TOKEN_FILE$/,
  ],
  [
    403,
    "Forbidden",
    "forbidden",
    TOKEN,
    /\(Forbidden\); grant this identity .* get on nodes\/pods \(Kubernetes 1\.33.*nodes\/proxy/,
  ],
  [404, "404 page not found", "http", {}, /status 404 \(404 page not found\).*KPOD_KUBELET_URL/],
  [
    429,
    "",
    "http",
    {},
    /status 429; it is asked less often until it answers; raise KPOD_KUBELET_POLL_INTERVAL/,
  ],
  [302, "", "http", {}, /status 302;.*KPOD_KUBELET_URL/],
  [500, "x".repeat(100_000), "http", {}, /status 500 \(x{200}\); see the kubelet's log/],
];

for (const [status, body, reason, options, says] of STATUSES) {
  const what = `${status} ${body.slice(0, 100)} ${JSON.stringify(options)}`;
  Deno.test(`a refusal says what to do: ${what}`, async () => {
    await using server = await serveTls(answer(status, body));
    await failsWith(
      ask(server.port, options, { key: pem("node1.key") }),
      reason,
      /at https:\/\/127\.0\.0\.1:\d+\/pods: /,
      says,
    );
  });
}

const RETRY_AFTER: readonly (readonly [header: string | undefined, seconds: number])[] = [
  [undefined, 0],
  ["7", 7],
  ["0", 0],
  ["soon", 0],
  ["-5", 0],
  [new Date(0).toUTCString(), 0],
  // Nobody is left alone for longer.
  ["86400", 300],
  [new Date(Date.now() + 86_400_000).toUTCString(), 300],
];

for (const [header, seconds] of RETRY_AFTER) {
  Deno.test(`a kubelet that is busy wants to be left alone for ${seconds} s: Retry-After ${header}`, async () => {
    await using server = await servePlain((_, response) => {
      response.writeHead(429, header === undefined ? {} : { "retry-after": header });
      response.end();
    });
    await assert.rejects(ask(server.port, {}, {}, "http"), { reason: "http", retryAfterMs: seconds * 1000 });
  });
}

Deno.test("the read-only port is asked over plain HTTP, and gets no token", async () => {
  let seen: http.IncomingMessage | undefined;
  await using server = await servePlain((request, response) => {
    seen = request;
    listPods(request, response);
  });
  assert.deepEqual(await ask(server.port, { tokenFile: "token" }, {}, "http"), LIST);
  assert.equal(seen?.headers.authorization, undefined);
});

Deno.test("a port that speaks the other protocol is told from one that is not there", async () => {
  await using plain = await servePlain(listPods);
  await failsWith(ask(plain.port), "tls", /does not speak TLS: use http:\/\/ in KPOD_KUBELET_URL/);
  await using tls = await serveTls(listPods);
  await failsWith(ask(tls.port, {}, {}, "http"), "tls", /use https:\/\/ in KPOD_KUBELET_URL/);
  const go = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
  await using kubelet = await serveBytes(go);
  await failsWith(ask(kubelet.port, {}, {}, "http"), "tls", /use https:\/\/ in KPOD_KUBELET_URL/);
  const gone = await serveBytes("");
  await gone[Symbol.asyncDispose]();
  await failsWith(ask(gone.port), "connect", /ECONNREFUSED.*check that a kubelet runs on this node/);
});

for (
  const [what, said] of [["says nothing", ""], [
    "stops in its body",
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
  ]] as const
) {
  Deno.test(`a server that ${what} is given up after the time limit`, async () => {
    await using server = await serveBytes(said, true);
    const poll = ask(server.port, { timeoutMs: 200 }, {}, "http");
    await failsWith(poll, "timeout", /no complete answer in 200 ms/, /KPOD_KUBELET_TIMEOUT_MS/);
  });
}

Deno.test("a poll that is called off ends at once", async () => {
  await using server = await serveBytes("", true);
  const url = new URL(`http://127.0.0.1:${server.port}`);
  const client = createKubeletClient({ ...NOTHING, url, timeoutMs: 60_000 }, () => new Uint8Array());
  const controller = new AbortController();
  const poll = client.fetchPods(controller.signal);
  controller.abort();
  await assert.rejects(poll, KubeletError);
  await assert.rejects(client.fetchPods(controller.signal), KubeletError);
});

const BODIES: readonly (readonly [what: string, said: string, says: RegExp])[] = [
  ["is cut off", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}", /broke off after 2 bytes/],
  [
    "is cut off between chunks",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    /broke off after 2 bytes/,
  ],
  ["is not JSON", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", /not JSON, beginning "<html>"/],
  ["is empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", /not JSON, beginning ""/],
  [
    "is another list",
    'HTTP/1.1 200 OK\r\n\r\n{"kind":"NodeList"}',
    /got no PodList but kind "NodeList"; check that/,
  ],
];

for (const [what, said, says] of BODIES) {
  Deno.test(`a body that ${what} is an error of its own`, async () => {
    await using server = await serveBytes(said);
    await failsWith(ask(server.port, {}, {}, "http"), "body", says);
  });
}

Deno.test("a body without end is given up at 16 MiB", async () => {
  const chunk = new Uint8Array(1024 * 1024);
  await using server = await servePlain((_, response) => {
    const write = () => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on("drain", write);
    write();
  });
  await failsWith(ask(server.port, { timeoutMs: 30_000 }, {}, "http"), "body", /more than 16 MiB/);
});

const NO_CONNECTION: readonly (readonly [address: string, error: object, says: RegExp])[] = [
  [
    "[fd00::1]:10250",
    new Deno.errors.NotCapable(
      'Requires net access to "[fd00::1]:10250", run again with the --allow-net flag',
    ),
    /got no permission .* \[fd00::1\]:10250; .* --allow-net=0\.0\.0\.0\/0,localhost,\[::\],\[::1\],\[fd00::1\]:10250 .*\[\$\(NODE_IP\)\]/,
  ],
  ["10.0.0.1:10250", new Deno.errors.NotCapable("Requires net access"), /; start it .* \(-P=agent\)$/],
  [
    "node1:10250",
    { code: "EPERM", syscall: "getaddrinfo", message: "getaddrinfo EPERM" },
    /; this .* addresses only/,
  ],
  ["10.0.0.1:10250", { code: "EPERM", syscall: "connect", message: "connect EPERM" }, /network policies/],
  ["10.0.0.1:10250", { code: "EHOSTUNREACH", message: "connect EHOSTUNREACH" }, /network policies/],
  ["10.0.0.1:10250", { code: "EODD", message: "odd" }, /got odd; check KPOD_KUBELET_URL$/],
];

for (const [address, error, says] of NO_CONNECTION) {
  const { message } = error as Error;
  Deno.test(`no connection to ${address} is told with what to do: ${message}`, async () => {
    const poll = Promise.reject(networkError({ url: `https://${address}/pods`, address }, error));
    await failsWith(poll, "connect", says);
  });
}

Deno.test("the addresses that a flag has to repeat are those of the agent's permission set", () => {
  assert.equal(PERMITTED_ADDRESSES, settings.permissions.agent.net.join(","));
});

Deno.test("options that can never work are refused when the client is made", () => {
  const url = new URL("ftp://node1");
  assert.throws(
    () => createKubeletClient({ ...NOTHING, url, timeoutMs: 1 }, () => new Uint8Array()),
    /Cannot use KPOD_KUBELET_URL: got the scheme ftp:\/\/; use https/,
  );
});
