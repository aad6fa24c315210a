import assert from "node:assert/strict";
import type { Logger } from "../../src/log.ts";
import { serve as serveBy, type ServerDependencies } from "../../src/server.ts";
import type { ListenAddress } from "../../src/web/listener.ts";
import { listenPlain } from "../../src/web/plain_listener.ts";
import { HAS_IPV6 } from "./ipv6.ts";

const LOOPBACK = { hostname: "127.0.0.1", port: 0 };
const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

function agent(text: () => Promise<string> = () => Promise.resolve("up 1\n")): ServerDependencies {
  return {
    async *metrics() {
      yield await text();
    },
    readiness: () => ({ ready: true, reasons: [] }),
    status: () => {
      throw new Error("not asked for here");
    },
    log: SILENT,
  };
}

async function serve(deps: ServerDependencies, address: ListenAddress, closeGraceMs?: number) {
  return await serveBy(deps, address, {
    listen: (at, answer) => Promise.try(() => listenPlain(at, answer, SILENT)),
    ...(closeGraceMs === undefined ? {} : { closeGraceMs }),
  });
}

/** Sends `request` as it stands and returns all the server answers until it closes the connection. */
async function exchange(address: ListenAddress, request: string): Promise<string> {
  const connection = await Deno.connect({ hostname: address.hostname, port: address.port });
  await connection.write(new TextEncoder().encode(request));
  return await new Response(connection.readable).text();
}

for (const hostname of ["127.0.0.1", "localhost", ...(HAS_IPV6 ? ["::1", "[::1]"] : [])]) {
  Deno.test(`a scrape of ${hostname} is answered over HTTP`, async () => {
    const server = await serve(agent(), { hostname, port: 0 });
    const host = hostname.includes("::") ? "[::1]" : hostname;
    const response = await fetch(`http://${host}:${server.address.port}/metrics`);
    assert.equal(await response.text(), "up 1\n");
    assert.equal(response.headers.get("Content-Encoding"), "gzip", "fetch asks for gzip and undoes it");
    await server.close();
  });
}

Deno.test("HEAD keeps the length of the body it leaves out", async () => {
  const server = await serve(agent(), LOOPBACK);
  const answer = await exchange(
    server.address,
    "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  );
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(answer, /\r\ncontent-length: 5\r\n/i);
  assert.ok(answer.endsWith("\r\n\r\n"));
  await server.close();
});

for (
  const [what, line, host] of [
    ["a request for *", "OPTIONS *", "x"],
    ["a Host that is no host", "GET /metrics", "a b<>"],
    ["an absolute URL", "GET http://elsewhere/metrics", "x"],
  ] as const
) {
  Deno.test(`${what} is answered, and the server goes on`, async () => {
    const server = await serve(agent(), LOOPBACK);
    const answer = await exchange(
      server.address,
      `${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
    assert.match(answer, /^HTTP\/1\.1 [24]\d\d /);
    const response = await fetch(`http://127.0.0.1:${server.address.port}/healthz`);
    assert.equal(await response.text(), "ok\n");
    await server.close();
  });
}

Deno.test("close lets a running request finish, and accepts no other", async () => {
  const started = Promise.withResolvers<void>();
  const text = Promise.withResolvers<string>();
  const server = await serve(
    agent(() => {
      started.resolve();
      return text.promise;
    }),
    LOOPBACK,
  );
  const scrape = fetch(`http://127.0.0.1:${server.address.port}/metrics`);
  await started.promise;
  const closed = server.close();
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port: server.address.port }));
  text.resolve("late 1\n");
  assert.equal(await (await scrape).text(), "late 1\n");
  await closed;
});

Deno.test("close drops a request that does not finish within the grace", async () => {
  const started = Promise.withResolvers<void>();
  const server = await serve(
    agent(() => {
      started.resolve();
      return new Promise(() => {});
    }),
    LOOPBACK,
    10,
  );
  const scrape = fetch(`http://127.0.0.1:${server.address.port}/metrics`);
  await started.promise;
  await server.close();
  const response = await scrape;
  assert.deepEqual([response.status, await response.text()], [503, "The agent is stopping\n"]);
});

Deno.test({
  name: "close does not wait for a client that does not read its answer",
  sanitizeOps: false, // the answer stays half written until the client is gone
  async fn() {
    const server = await serve(agent(() => Promise.resolve("x".repeat(50_000_000))), LOOPBACK, 10);
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.address.port });
    await connection.write(new TextEncoder().encode("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert.ok(await connection.read(new Uint8Array(16)));
    await server.close();
    connection.close();
  },
});

Deno.test("close does not wait for an idle connection, and can be called twice", async () => {
  const server = await serve(agent(), LOOPBACK, 60_000);
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.address.port });
  await connection.write(new TextEncoder().encode("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
  assert.ok(await connection.read(new Uint8Array(1024)));
  await Promise.all([server.close(), server.close()]);
  connection.close();
});

Deno.test("a port in use is an error that says what to do", async () => {
  const server = await serve(agent(), LOOPBACK);
  const { port } = server.address;
  await assert.rejects(serve(agent(), { hostname: "127.0.0.1", port }), {
    message: `Cannot listen on 127.0.0.1:${port}: address already in use; ` +
      "set KPOD_LISTEN_ADDRESS to a free port, or stop what listens there",
  });
  await server.close();
});

Deno.test({
  name: "an IPv6 address is written with brackets in an error",
  ignore: !HAS_IPV6,
  async fn() {
    const server = await serve(agent(), { hostname: "::1", port: 0 });
    const { port } = server.address;
    await assert.rejects(serve(agent(), { hostname: "[::1]", port }), {
      message: new RegExp(`^Cannot listen on \\[::1\\]:${port}: address already in use`),
    });
    await server.close();
  },
});

Deno.test("an address of another host is an error that says what to do", async () => {
  await assert.rejects(serve(agent(), { hostname: "192.0.2.1", port: 9090 }), {
    message: "Cannot listen on 192.0.2.1:9090: this host has no such address; " +
      "set KPOD_LISTEN_ADDRESS to one it has",
  });
});

Deno.test({
  name: "an address Deno was not allowed is an error that says what to do",
  permissions: { net: false },
  async fn() {
    await assert.rejects(serve(agent(), { hostname: "0.0.0.0", port: 9090 }), {
      message:
        /^Cannot listen on 0\.0\.0\.0:9090: Deno was not allowed to; run with --allow-net .*KPOD_LISTEN_ADDRESS/,
    });
  },
});
