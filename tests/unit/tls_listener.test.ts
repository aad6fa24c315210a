/** HTTP over TLS, asked by openssl and by the runtime itself. */
import assert from "node:assert/strict";
import https from "node:https";
import type { TLSSocket } from "node:tls";
import { type Answer, type ListenAddress } from "../../src/web/listener.ts";
import { listenTls, type TlsListener } from "../../src/web/tls_listener.ts";
import type { TlsSettings } from "../../src/web/web_settings.ts";
import { Authority } from "../lab/authority.ts";

const [authority, stranger] = await Promise.all([Authority.create(), Authority.create("stranger")]);
Deno.test.afterAll(async () => {
  for (const each of [authority, stranger]) await each[Symbol.asyncDispose]();
});
const LOCAL = { names: "DNS:localhost,IP:127.0.0.1" };
const CLIENT = { names: "DNS:prometheus.example", usage: "clientAuth" } as const;
const first = await authority.sign("first", LOCAL);
const second = await authority.sign("second", LOCAL);
await authority.sign("client", CLIENT);
await authority.sign("server-as-client", { ...CLIENT, usage: "serverAuth" });
await authority.sign("expired", { ...CLIENT, days: -1 });
await stranger.sign("stranger", CLIENT);

const settings = (change: Partial<TlsSettings> = {}): TlsSettings => ({
  cert: first.certificate,
  key: first.key,
  clientCa: undefined,
  clientAuth: "NoClientCert",
  clientNames: undefined,
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.3",
  ...change,
});
const REQUIRED = settings({ clientCa: authority.certificate, clientAuth: "RequireAndVerifyClientCert" });
const GIVEN = settings({ clientCa: authority.certificate, clientAuth: "VerifyClientCertIfGiven" });

/** A listener that answers what it was asked, and how often it was. */
class Listening implements AsyncDisposable {
  private constructor(readonly listener: TlsListener, readonly asked: readonly Request[]) {}

  static async on(tls: TlsSettings, answer?: Answer): Promise<Listening> {
    const asked: Request[] = [];
    const listener = await listenTls(
      { hostname: "127.0.0.1", port: 0 },
      async (request, exchange) => {
        asked.push(request);
        const { method, url } = request;
        return await answer?.(request, exchange) ?? new Response(`${method} ${new URL(url).pathname}\n`);
      },
      tls,
    );
    return new Listening(listener, asked);
  }

  get port(): number {
    return this.listener.address.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.listener.shutdown();
    this.listener.abandon();
    await closed;
  }
}

const REQUEST = "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/** What openssl writes about a connection and what comes over it, to its end. */
async function openssl(port: number, args: readonly string[] = [], request = REQUEST): Promise<string> {
  const child = new Deno.Command("openssl", {
    args: [
      "s_client",
      "-connect",
      `127.0.0.1:${port}`,
      "-CAfile",
      authority.path("ca.crt"),
      "-ign_eof",
      ...args,
    ],
    cwd: authority.directory,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(request));
  await writer.close().catch(() => {});
  const { stdout, stderr } = await child.output();
  return [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n");
}

function pair(name: string, from = authority): string[] {
  return ["-cert", from.path(`${name}.crt`), "-key", from.path(`${name}.key`)];
}

const ANSWERED = /\nGET \/x\n/;

for (
  const [what, tls, args, answered] of [
    ["anybody", settings(), [], true],
    ["TLS 1.2", settings(), ["-tls1_2"], true],
    ["TLS 1.2 where 1.3 is wanted", settings({ minVersion: "TLSv1.3" }), ["-tls1_2"], false],
    ["TLS 1.3 where 1.2 is the latest", settings({ maxVersion: "TLSv1.2" }), ["-tls1_3"], false],
    ["TLS 1.1", settings(), ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], false],
    [
      "TLS 1.2 without forward secrecy",
      settings(),
      ["-tls1_2", "-cipher", "AES128-GCM-SHA256:AES128-SHA"],
      false,
    ],
    ["a client that need not show a certificate", GIVEN, [], true],
    ["a client that shows one it need not", GIVEN, pair("client"), true],
    ["a client that shows a stranger's it need not", GIVEN, pair("stranger", stranger), false],
    ["a client that shows an expired one it need not", GIVEN, pair("expired"), false],
    ["a client that has to show a certificate", REQUIRED, pair("client"), true],
    ["the same by TLS 1.2", REQUIRED, ["-tls1_2", ...pair("client")], true],
    ["a client that shows none", REQUIRED, [], false],
    ["the same by TLS 1.2, too", REQUIRED, ["-tls1_2"], false],
    ["a client with a stranger's", REQUIRED, pair("stranger", stranger), false],
    ["a client with an expired one", REQUIRED, pair("expired"), false],
    ["a client with one for servers", REQUIRED, pair("server-as-client"), false],
    ["a client with the name", { ...REQUIRED, clientNames: ["prometheus.example"] }, pair("client"), true],
    ["a client with another name", { ...REQUIRED, clientNames: ["other.example"] }, pair("client"), false],
  ] as const
) {
  Deno.test(`${what} is ${answered ? "answered" : "not answered, nor handed on"}`, async () => {
    await using listening = await Listening.on(tls);
    const text = await openssl(listening.port, args);
    assert.equal(ANSWERED.test(text), answered, text);
    assert.equal(listening.asked.length, answered ? 1 : 0);
  });
}

/** By which certificate the listener shows itself. */
async function shown(port: number, args: readonly string[] = []): Promise<string | undefined> {
  return /subject=CN ?= ?(\w+)/.exec(await openssl(port, args))?.[1];
}

Deno.test("a certificate is exchanged under connections that stay, and the port is never closed", async () => {
  await using listening = await Listening.on(settings());
  const { port } = listening;
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: authority.certificate });
  const ask = () =>
    new Promise<readonly [string, string]>((resolve, reject) => {
      https.get({ host: "127.0.0.1", port, path: "/", agent, servername: "localhost" }, (response) => {
        const socket = response.socket as unknown as TLSSocket;
        const seen = [socket.getPeerCertificate().subject.CN as string, `${socket.localPort}`] as const;
        response.resume().on("end", () => resolve(seen));
      }).on("error", reject);
    });
  const [before, kept] = await ask();
  assert.deepEqual([before, await shown(port)], ["first", "first"]);
  listening.listener.use(settings({ cert: second.certificate, key: second.key }));
  assert.deepEqual(
    [await ask(), await shown(port)],
    [["first", kept], "second"],
    "the old connection, and a new one",
  );
  agent.destroy();
});

Deno.test("what the TLS layer cannot use leaves the earlier in force", async () => {
  await using listening = await Listening.on(REQUIRED);
  const weak = await authority.sign("weak", { ...LOCAL, key: "rsa:1024" });
  assert.throws(() => listening.listener.use(settings({ cert: weak.certificate, key: weak.key })));
  assert.equal(await shown(listening.port, pair("client")), "first");
  assert.doesNotMatch(await openssl(listening.port), ANSWERED);
});

/** A session of a client that was answered, for later ones to go on with. */
async function session(port: number, args: readonly string[]): Promise<string[]> {
  const file = authority.path("session.pem");
  await Deno.remove(file).catch(() => {});
  assert.match(await openssl(port, [...args, "-sess_out", file]), ANSWERED);
  return ["-sess_in", file];
}

for (const version of ["-tls1_2", "-tls1_3"]) {
  Deno.test(`a session begun under an earlier authority does not go on: ${version}`, async () => {
    await using listening = await Listening.on(REQUIRED);
    const { port, listener } = listening;
    const earlier = await session(port, [version, ...pair("client")]);
    assert.match(
      await openssl(port, [version, ...earlier]),
      /Reused[^]*\nGET \/x\n/,
      "under the same it does",
    );
    listener.use({ ...REQUIRED, clientCa: stranger.certificate });
    const asked = listening.asked.length;
    for (const args of [earlier, [...earlier, ...pair("client")], pair("client")]) {
      assert.doesNotMatch(await openssl(port, [version, ...args]), ANSWERED);
    }
    assert.equal(listening.asked.length, asked);
    assert.match(await openssl(port, [version, ...pair("stranger", stranger)]), ANSWERED);
  });

  Deno.test(`a session begun when nobody had to show a certificate does not go on: ${version}`, async () => {
    await using listening = await Listening.on(settings());
    const { port, listener } = listening;
    const earlier = await session(port, [version]);
    listener.use(REQUIRED);
    assert.doesNotMatch(await openssl(port, [version, ...earlier]), ANSWERED);
    assert.equal(listening.asked.length, 1);
    assert.match(await openssl(port, [version, ...pair("client")]), ANSWERED, "from now on one is asked for");
  });
}

const STATUS = /\nHTTP\/1\.1 (\d+) /;

for (
  const [what, request, path] of [
    ["an absolute URL", "GET http://elsewhere/metrics HTTP/1.1", "/metrics"],
    ["a path that looks like a host", "GET //metrics HTTP/1.1", "//metrics"],
    ["a path with steps back", "GET /healthz/../metrics HTTP/1.1", "/metrics"],
    ["a request for *", "OPTIONS * HTTP/1.1", undefined],
    ["a method that is none here", "CONNECT localhost:443 HTTP/1.1", undefined],
    ["a method nobody may use", "TRACE / HTTP/1.1", undefined],
    ["a line that is too long", `GET /${"a".repeat(20_000)} HTTP/1.1`, undefined],
    ["headers that are too long", `GET / HTTP/1.1\r\nX: ${"a".repeat(20_000)}`, undefined],
    ["no HTTP", "\0\u0001\u0002", undefined],
    ["a header that is none", "GET / HTTP/1.1\r\nnothing", undefined],
    ["a body of two lengths", "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2", undefined],
  ] as const
) {
  Deno.test(`${what} is ${path === undefined ? "refused" : "answered"}, and the listener goes on`, async () => {
    await using listening = await Listening.on(settings());
    const text = await openssl(listening.port, [], `${request}\r\nHost: a b<>\r\nConnection: close\r\n\r\n`);
    // What cannot be read may be no more than ended.
    assert.match(STATUS.exec(text)?.[1] ?? "none", path === undefined ? /^4\d\d$|^none$/ : /^200$/, text);
    assert.deepEqual(
      listening.asked.map(({ url }) => new URL(url).pathname),
      path === undefined ? [] : [path],
    );
    assert.match(await openssl(listening.port), ANSWERED);
  });
}

Deno.test("an answer has its status, headers and bytes; HEAD has no bytes", async () => {
  const bytes = Uint8Array.of(0, 255, 10);
  const answer: Answer = ({ method }) =>
    Promise.resolve(
      new Response(method === "HEAD" ? null : bytes, {
        status: 203,
        headers: { "Content-Length": "3", Vary: "A" },
      }),
    );
  await using listening = await Listening.on(settings(), answer);
  for (const method of ["GET", "HEAD"]) {
    const [status, headers, body] = await new Promise<
      [number | undefined, Record<string, unknown>, Uint8Array]
    >(
      (resolve, reject) => {
        const options = {
          host: "127.0.0.1",
          port: listening.port,
          method,
          ca: authority.certificate,
          agent: false,
        };
        https.request({ ...options, servername: "localhost" }, (response) => {
          const chunks: Uint8Array[] = [];
          response.on("data", (chunk) => chunks.push(chunk));
          response.on(
            "end",
            () =>
              resolve([
                response.statusCode,
                response.headers,
                new Uint8Array(chunks.flatMap((chunk) => [...chunk])),
              ]),
          );
        }).on("error", reject).end();
      },
    );
    assert.deepEqual([status, headers["content-length"], headers["vary"]], [203, "3", "A"]);
    assert.deepEqual(body, method === "HEAD" ? new Uint8Array() : bytes);
  }
});

Deno.test("who asks and when the answer was sent is told, also when the client is gone", async () => {
  const told: unknown[] = [];
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const { promise: gone, resolve: go } = Promise.withResolvers<void>();
  await using listening = await Listening.on(settings(), async (_, { peer, sent }) => {
    told.push(peer);
    begin();
    await gone;
    void sent.then(() => told.push("sent"));
    return new Response("late");
  });
  const asking = https.get({
    host: "127.0.0.1",
    port: listening.port,
    ca: authority.certificate,
    servername: "localhost",
    agent: false,
  }).on("error", () => {});
  await begun;
  asking.destroy();
  go();
  while (told.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(told, ["127.0.0.1", "sent"]);
});

Deno.test("shutdown lets an answer under way be sent, accepts nothing more, and does not wait for who is idle", async () => {
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const { promise: text, resolve: finish } = Promise.withResolvers<string>();
  const listening = await Listening.on(settings(), async () => {
    begin();
    return new Response(await text);
  });
  const { port, listener } = listening;
  const idle = await Deno.connectTls({ hostname: "localhost", port, caCerts: [authority.certificate] });
  await idle.handshake();
  const answer = openssl(port);
  await begun;
  const closed = listener.shutdown();
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port }));
  finish("late\n");
  assert.match(await answer, /\nlate\n/);
  idle.close();
  await closed;
});

for (
  const [what, address, message] of [
    ["an address of another host", { hostname: "192.0.2.1", port: 9090 }, "this host has no such address"],
    ["a port in use", undefined, "address already in use"],
  ] as readonly (readonly [string, ListenAddress | undefined, string])[]
) {
  Deno.test(`${what} is an error that says what to do`, async () => {
    await using listening = await Listening.on(settings());
    const at = address ?? { hostname: "127.0.0.1", port: listening.port };
    const answer: Answer = () => assert.fail("nobody asks");
    await assert.rejects(
      listenTls(at, answer, settings()),
      (error) =>
        error instanceof Error &&
        error.message.startsWith(`Cannot listen on ${at.hostname}:${at.port}: ${message}; set`),
    );
  });
}
