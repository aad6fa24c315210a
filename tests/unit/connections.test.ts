/** The native view of this process's connections. */
import assert from "node:assert/strict";
import { connectionsOn, dropConnection, TcpSockets } from "../../src/native/connections.ts";
import { HostRoot } from "../../src/native/host_files.ts";
import { HAS_IPV6 } from "./ipv6.ts";

interface Pair extends Disposable {
  readonly port: number;
  readonly client: Deno.TcpConn;
  readonly server: Deno.TcpConn;
}

async function connected(hostname = "127.0.0.1"): Promise<Pair> {
  using listener = Deno.listen({ hostname, port: 0 });
  const { port } = listener.addr;
  const [client, server] = await Promise.all([Deno.connect({ hostname, port }), listener.accept()]);
  const close = (connection: Deno.TcpConn) => {
    try {
      connection.close();
    } catch {
      // It was closed already.
    }
  };
  return { port, client, server, [Symbol.dispose]: () => [client, server].forEach(close) };
}

/** Until the other end has confirmed what was sent. */
async function confirmed(port: number, bytes: number) {
  for (;;) {
    const [connection] = connectionsOn(port);
    if (connection !== undefined && connection.acknowledged >= bytes && connection.unacknowledged === 0) {
      return connection;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

Deno.test("a port has its connections, without the socket that listens and the other ends", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  assert.deepEqual(connectionsOn(port), []);
  const client = await Deno.connect({ hostname: "127.0.0.1", port });
  const server = await listener.accept();
  assert.equal(connectionsOn(port).length, 1);
  assert.equal(connectionsOn((client.localAddr as Deno.NetAddr).port).length, 1, "its other end");
  client.close();
  server.close();
  assert.deepEqual(connectionsOn(port), []);
});

for (const hostname of ["127.0.0.1", ...HAS_IPV6 ? ["::1"] : []]) {
  Deno.test(`bytes of a connection on ${hostname} are counted as they are`, async () => {
    using pair = await connected(hostname);
    await pair.client.write(new Uint8Array(1_000));
    await pair.server.read(new Uint8Array(10));
    await pair.server.write(new Uint8Array(300));
    const { received, acknowledged, quietMs } = await confirmed(pair.port, 300);
    assert.deepEqual([received, acknowledged], [1_000, 300]);
    assert.ok(quietMs < 60_000, `${quietMs}`);
  });
}

Deno.test("what nobody reads stays unacknowledged, and so does the silence grow", async () => {
  using pair = await connected();
  const writing = pair.server.write(new Uint8Array(50_000_000)).catch(() => {});
  let before = -1;
  for (;;) {
    const [connection] = connectionsOn(pair.port);
    const { unacknowledged = 0, quietMs = 0 } = connection ?? {};
    if (unacknowledged > 0 && before >= 0 && quietMs > before) break;
    before = unacknowledged > 0 ? quietMs : -1;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  pair.client.close();
  await writing;
});

Deno.test("a connection that is dropped is an end to its owner, and to the other end", async () => {
  using pair = await connected();
  const [connection] = connectionsOn(pair.port);
  dropConnection(connection ?? assert.fail());
  assert.equal(await pair.server.read(new Uint8Array(1)), null);
  await assert.rejects(pair.server.write(new Uint8Array(1)), Deno.errors.BrokenPipe);
  pair.server.close();
  const read = await pair.client.read(new Uint8Array(1)).catch((error) => error);
  assert.ok(read === null || read instanceof Deno.errors.ConnectionReset, String(read));
});

Deno.test("a descriptor that is another connection's by now is let be", async () => {
  using pair = await connected();
  const [connection] = connectionsOn(pair.port);
  const { id, descriptor } = connection ?? assert.fail();
  dropConnection({ id: id + 1n, descriptor });
  dropConnection({ id, descriptor: 1_000_000 });
  await pair.client.write(Uint8Array.of(7));
  const bytes = new Uint8Array(1);
  assert.equal(await pair.server.read(bytes), 1);
});

Deno.test("sockets of the namespace are counted, whichever protocol is theirs", async () => {
  using proc = HostRoot.open("/proc");
  const sockets = new TcpSockets(proc);
  const before = sockets.count();
  using _four = await connected();
  using _more = await connected(HAS_IPV6 ? "::1" : "127.0.0.1");
  assert.ok(Number.isFinite(before) && sockets.count() >= 4, `${sockets.count()}`);
});

const TEXTS = { sockstat: "sockets: used 9\nTCP: inuse 5 orphan 0\n", sockstat6: "TCP6: inuse 2\n" };

/** A procfs with some of the files. */
function withFiles(texts: Readonly<Record<string, string>>): TcpSockets {
  const read = [...Object.keys(TEXTS)].filter((name) => name in texts);
  let isFirst = true;
  const add = (path: string) => {
    const slot = read.findIndex((name) => path === `self/net/${name}`);
    if (slot < 0) throw new Error("no such file");
    return slot;
  };
  const refresh = (slots: readonly number[]) => {
    const found = slots.map((slot) => isFirst ? texts[read[slot] ?? ""] : undefined);
    isFirst = false;
    return found;
  };
  return new TcpSockets({ fileSet: () => ({ add, refresh }) });
}

for (
  const [what, texts, expected] of [
    ["both protocols' are counted", TEXTS, 7],
    ["where there is no IPv6 all are IPv4's", { sockstat: TEXTS.sockstat }, 5],
    ["where sockets cannot be counted there may be any number", { sockstat6: TEXTS.sockstat6 }, Infinity],
    ["where the kernel says nothing of TCP there may be any number", { sockstat: "nothing" }, Infinity],
  ] as const
) {
  Deno.test(`sockets of the namespace: ${what}`, () => {
    const sockets = withFiles(texts);
    assert.equal(sockets.count(), expected);
    // The files are what they were.
    assert.equal(sockets.count(), expected);
  });
}
