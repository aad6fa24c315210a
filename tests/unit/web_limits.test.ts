/** Real clients that keep a connection without need, of both listeners, at times that the test says. */
import assert from "node:assert/strict";
import type { Logger } from "../../src/log.ts";
import { connectionsOn, dropConnection } from "../../src/native/connections.ts";
import { ConnectionWatch } from "../../src/web/connection_watch.ts";
import { guarded } from "../../src/web/gate.ts";
import type { Listen, Listener } from "../../src/web/listener.ts";
import { listenPlain } from "../../src/web/plain_listener.ts";
import { listenTls } from "../../src/web/tls_listener.ts";
import { watched as watchedBy } from "../../src/web/web.ts";
import { Authority } from "../lab/authority.ts";

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const authority = await Authority.create();
Deno.test.afterAll(() => authority[Symbol.asyncDispose]());
const { certificate: cert, key } = await authority.sign("server", { names: "DNS:localhost" });
const TLS = {
  cert,
  key,
  clientCa: undefined,
  clientAuth: "NoClientCert",
  clientNames: undefined,
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.3",
} as const;

/** More than the kernel takes for a client that does not read. */
const LARGE = new Uint8Array(20_000_000);

const LISTENERS: readonly (readonly [scheme: "http" | "https", listen: Listen])[] = [
  ["http", (address, answer) => Promise.resolve(listenPlain(address, answer, SILENT))],
  ["https", (address, answer) => listenTls(address, answer, TLS)],
];

/** A listener under watch, and the means to ask it. */
async function watched(scheme: "http" | "https", listen: Listen) {
  const answer = guarded((request) =>
    Promise.resolve(new Response(new URL(request.url).pathname === "/large" ? LARGE : "small\n"))
  );
  const listener = await listen({ hostname: "127.0.0.1", port: 0 }, answer);
  const { port } = listener.address;
  const watch = new ConnectionWatch(
    { atMost: () => Infinity, list: () => connectionsOn(port), drop: dropConnection },
    SILENT,
  );
  const connect = async () => {
    if (scheme === "http") return await Deno.connect({ hostname: "127.0.0.1", port });
    const connection = await Deno.connectTls({
      hostname: "localhost",
      port,
      caCerts: [authority.certificate],
    });
    await connection.handshake();
    return connection;
  };
  return {
    watch,
    connect,
    port,
    [Symbol.asyncDispose]: async () => {
      const closed = listener.shutdown();
      listener.abandon();
      for (const connection of connectionsOn(port)) dropConnection(connection);
      await closed;
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

const bytes = (text: string) => new TextEncoder().encode(text);
const request = (path: string) => bytes(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);

/** Whether it has come to its end, whatever came before. */
async function ends(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(65_536);
  try {
    while (await connection.read(buffer) !== null);
  } catch {
    // So it has.
  }
  connection.close();
}

for (const [scheme, listen] of LISTENERS) {
  const states = async (port: number) => {
    // What was sent is confirmed a moment later.
    await until(() => connectionsOn(port).every(({ unacknowledged }) => unacknowledged === 0));
  };

  Deno.test(`${scheme}: a client that says nothing is sent away`, async () => {
    await using server = await watched(scheme, listen);
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await until(() => connectionsOn(server.port).length === 1);
    server.watch.sweep(0);
    server.watch.sweep(30_000);
    assert.equal(connectionsOn(server.port).length, 1);
    server.watch.sweep(30_001);
    await ends(connection);
    await until(() => connectionsOn(server.port).length === 0);
  });

  Deno.test(`${scheme}: a client that sends its request byte by byte is sent away`, async () => {
    await using server = await watched(scheme, listen);
    const connection = await server.connect();
    await states(server.port);
    server.watch.sweep(0);
    for (let second = 1; second <= 31; second++) {
      const { received } = connectionsOn(server.port)[0] ?? assert.fail(`gone after ${second} s`);
      await connection.write(request("/small").subarray(second - 1, second));
      await until(() => (connectionsOn(server.port)[0]?.received ?? 0) > received);
      server.watch.sweep(1_000 * second);
    }
    // What the handshake sends last may have been confirmed meanwhile: then it has been at rest since.
    server.watch.sweep(62_000);
    await ends(connection);
    await until(() => connectionsOn(server.port).length === 0);
  });

  Deno.test(`${scheme}: a client that does not read its answer is sent away`, async () => {
    await using server = await watched(scheme, listen);
    const connection = await server.connect();
    await states(server.port);
    server.watch.sweep(0);
    await connection.write(request("/large"));
    await until(() => (connectionsOn(server.port)[0]?.unacknowledged ?? 0) > 0);
    server.watch.sweep(1_000);
    server.watch.sweep(31_000);
    assert.equal(connectionsOn(server.port).length, 1);
    server.watch.sweep(31_001);
    await until(() => connectionsOn(server.port).length === 0);
    await ends(connection);
  });

  Deno.test(`${scheme}: a client that reads its answer byte by byte is sent away`, async () => {
    await using server = await watched(scheme, listen);
    const connection = await server.connect();
    await states(server.port);
    server.watch.sweep(0);
    await connection.write(request("/large"));
    await until(() => (connectionsOn(server.port)[0]?.unacknowledged ?? 0) > 0);
    for (let second = 1; second <= 31; second++) {
      assert.equal(await connection.read(new Uint8Array(1)), 1, `${second} s`);
      server.watch.sweep(1_000 * second);
    }
    server.watch.sweep(31_001);
    await until(() => connectionsOn(server.port).length === 0);
    await ends(connection);
  });

  Deno.test(`${scheme}: a client that asks and reads is let be`, async () => {
    await using server = await watched(scheme, listen);
    const connection = await server.connect();
    const buffer = new Uint8Array(65_536);
    for (let minute = 0; minute < 5; minute++) {
      await connection.write(request("/small"));
      assert.match(new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0)), /small/);
      await states(server.port);
      server.watch.sweep(60_000 * minute);
    }
    assert.equal(connectionsOn(server.port).length, 1);
    connection.close();
  });
}

/** One that looks after itself, as the agent's does. */
async function selfWatched(listen: Listen): Promise<Listener & AsyncDisposable> {
  const connections = (port: number) => ({
    atMost: () => Infinity,
    list: () => connectionsOn(port),
    drop: dropConnection,
  });
  const answer = () =>
    Promise.resolve(new Response(LARGE, { headers: { "Content-Length": `${LARGE.length}` } }));
  const listener = await watchedBy(listen, { connections, log: SILENT })(
    { hostname: "127.0.0.1", port: 0 },
    answer,
  );
  return {
    ...listener,
    [Symbol.asyncDispose]: async () => {
      const closed = listener.shutdown();
      listener.abandon();
      for (const connection of connectionsOn(listener.address.port)) dropConnection(connection);
      await closed;
    },
  };
}

for (const [scheme, listen] of LISTENERS) {
  Deno.test(`${scheme}: clients that do not read what would fill the memory are sent away, all but one`, async () => {
    await using server = await selfWatched(listen);
    const { port } = server.address;
    const clients = [];
    for (let count = 0; count < 4; count++) {
      const client = scheme === "http"
        ? await Deno.connect({ hostname: "127.0.0.1", port })
        : await Deno.connectTls({ hostname: "localhost", port, caCerts: [authority.certificate] });
      await client.write(request("/large"));
      clients.push(client);
    }
    await until(() => connectionsOn(port).length === 1);
    for (const client of clients) client.close();
  });
}

/** A frame of HTTP/2 (RFC 9113). */
function frame(type: number, flags: number, stream: number, payload: readonly number[]): number[] {
  return [0, 0, payload.length, type, flags, 0, 0, 0, stream, ...payload];
}

const text = (value: string) => [value.length, ...bytes(value)];

/** A client that has no window for what comes back. */
const HTTP2_BEGIN = Uint8Array.from([
  ...bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  ...frame(4, 0, 0, [0, 4, 0, 0, 0, 0]),
]);

/** GET /large; streams have odd numbers. */
function http2Request(stream: number): Uint8Array {
  return Uint8Array.from(
    frame(1, 5, stream, [0x82, 0x86, 0x04, ...text("/large"), 0x01, ...text("localhost")]),
  );
}

Deno.test("http: many answers on one connection of HTTP/2 do not fill the memory either", async () => {
  await using server = await selfWatched(LISTENERS[0]?.[1] ?? assert.fail());
  const { port } = server.address;
  const client = await Deno.connect({ hostname: "127.0.0.1", port });
  await client.write(HTTP2_BEGIN);
  for (const stream of [1, 3, 5]) await client.write(http2Request(stream));
  // What came back: settings, and headers of three answers.
  await until(() => (connectionsOn(port)[0]?.acknowledged ?? 0) > 100);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(connectionsOn(port).length, 1);
  await client.write(http2Request(7));
  await until(() => connectionsOn(port).length === 0);
  client.close();
});

for (const [scheme, listen] of LISTENERS) {
  Deno.test(`${scheme}: a body that nobody asked for is not read into memory`, async () => {
    await using server = await watched(scheme, listen);
    const connection = await server.connect();
    const head = "GET /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n";
    await connection.write(bytes(head));
    const buffer = new Uint8Array(65_536);
    assert.match(new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0)), /small/);
    const before = Deno.memoryUsage().rss;
    const body = new Uint8Array(1_000_000);
    for (let written = 0; written < 100; written++) {
      if (await connection.write(body).catch(() => 0) === 0) break;
    }
    assert.ok(Deno.memoryUsage().rss - before < 50_000_000);
    connection.close();
  });
}
