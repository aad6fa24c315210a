/** The native view of this process's connections. */
import assert from "node:assert/strict";
import { connectionsOn, dropConnection, tcpSockets } from "../../src/native/connections.ts";
import { HostRoot } from "../../src/native/host_files.ts";

/** Containers often have no IPv6 at all. */
const ipv6 = (() => {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
})();

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

for (const hostname of ["127.0.0.1", ...ipv6 ? ["::1"] : []]) {
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
  const before = tcpSockets(proc);
  using _four = await connected();
  using _more = await connected(ipv6 ? "::1" : "127.0.0.1");
  assert.ok(Number.isFinite(before) && tcpSockets(proc) >= 4, `${tcpSockets(proc)}`);
});

Deno.test("where sockets cannot be counted there may be any number", () => {
  const unreadable = (name: string) => ({
    readText: (path: string) => {
      if (path.endsWith(name)) throw new Error("no such file");
      return "TCP: inuse 5 orphan 0\nTCP6: inuse 5\n";
    },
  });
  assert.equal(tcpSockets(unreadable("sockstat")), Infinity);
  assert.equal(tcpSockets(unreadable("sockstat6")), 5);
  assert.equal(tcpSockets({ readText: () => "nothing" }), Infinity);
});
