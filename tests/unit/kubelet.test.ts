import assert from "node:assert/strict";
import type http from "node:http";
import { createKubeletClient, KubeletError, type KubeletOptions } from "../../src/discovery/kubelet.ts";
import {
  answer,
  ask,
  enc,
  failsWith,
  LIST,
  listPods,
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
});

Deno.test("the token is read afresh at every poll", async () => {
  const seen: unknown[] = [];
  await using server = await serveTls((request, response) => {
    seen.push(request.headers.authorization);
    listPods(request, response);
  });
  const files: Record<string, string> = { token: "first" };
  const url = new URL(`https://127.0.0.1:${server.port}/`);
  const options = {
    url,
    serverName: "node1",
    insecureSkipVerify: true,
    tokenFile: "token",
    timeoutMs: 5_000,
  };
  const client = createKubeletClient(options, (path) => enc.encode(files[path]));
  await client.fetchPods();
  files.token = "second";
  await client.fetchPods();
  assert.deepEqual(seen, ["Bearer first", "Bearer second"]);
});

const STATUSES: readonly (readonly [number, string, string, Partial<KubeletOptions>, RegExp])[] = [
  [
    401,
    "Unauthorized",
    "unauthorized",
    { tokenFile: "token" },
    /401 \(Unauthorized\).*did not accept the token in token/,
  ],
  [401, "Unauthorized", "unauthorized", {}, /no credentials were sent: set KPOD_KUBELET_TOKEN_FILE/],
  [
    403,
    "Forbidden (user=system:serviceaccount:a:b)\n",
    "forbidden",
    {},
    /get on nodes\/pods \(Kubernetes 1\.33.*nodes\/proxy/,
  ],
  [404, "404 page not found", "http", {}, /status 404 \(404 page not found\).*KPOD_KUBELET_URL/],
  [302, "", "http", {}, /status 302;.*KPOD_KUBELET_URL/],
  [500, "x".repeat(100_000), "http", {}, /status 500 \(x{200}\); see the kubelet's log/],
];

for (const [status, body, reason, options, says] of STATUSES) {
  Deno.test(`a refusal says what to do: ${status} ${JSON.stringify(options)}`, async () => {
    await using server = await serveTls(answer(status, body));
    await failsWith(ask(server.port, options), reason, /at https:\/\/127\.0\.0\.1:\d+\/pods: /, says);
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
  const client = createKubeletClient({ url, timeoutMs: 60_000 }, () => new Uint8Array());
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
];

for (const [what, said, says] of BODIES) {
  Deno.test(`a body that ${what} is an error of its own`, async () => {
    await using server = await serveBytes(said);
    await failsWith(ask(server.port, {}, {}, "http"), "body", says);
  });
}

Deno.test("a body without end is given up at 64 MiB", async () => {
  const chunk = new Uint8Array(1024 * 1024);
  await using server = await servePlain((_, response) => {
    const write = () => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on("drain", write);
    write();
  });
  await failsWith(ask(server.port, { timeoutMs: 30_000 }, {}, "http"), "body", /more than 64 MiB/);
});

Deno.test("options that can never work are refused when the client is made", () => {
  const make = (url: string, serverName?: string) => () =>
    createKubeletClient({ url: new URL(url), serverName, timeoutMs: 1 }, () => new Uint8Array());
  assert.throws(make("ftp://node1"), /Cannot use KPOD_KUBELET_URL: got the scheme ftp:\/\/; use https/);
  assert.throws(
    make("https://node1", "10.0.0.1"),
    /Cannot use KPOD_KUBELET_SERVER_NAME: got the address 10\.0\.0\.1/,
  );
  assert.throws(make("https://node1", "fd00::1"), /Cannot use KPOD_KUBELET_SERVER_NAME/);
});
