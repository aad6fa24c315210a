/** Bytes sent and received, against what the processes' own calls returned. */
import assert from "node:assert/strict";
import { LabNode } from "../lab/node.ts";
import type { LabContainer } from "../lab/pods.ts";
import type { ServerStats, Transfer } from "../lab/workload.ts";
import { needsPrograms } from "./requirements.ts";
import {
  assertBytes,
  assertNothingMissed,
  countsAcknowledged,
  tcpCounts,
  tcpSince,
  watchTcp,
} from "./tcp.ts";
import type { Watch } from "./watch.ts";

const SENDING = ["send", "write", "sendfile", "splice", "uring"] as const;
const RECEIVING = ["read", "peek", "splice", "zero", "uring"] as const;

/** Two containers of one pod whose loopback nobody else uses, and the programs that watch them. */
async function withPair(
  test: (node: LabNode, watch: Watch, client: LabContainer, server: LabContainer) => Promise<void>,
): Promise<void> {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "pair", containers: ["client", "server"], ownNetwork: true });
  using watch = watchTcp(node);
  await test(node, watch, pod.container("client"), pod.container("server"));
  assertNothingMissed(watch);
}

for (const address of ["127.0.0.1", "::1"]) {
  Deno.test(
    `bytes are what the programs' calls returned, by every way into the kernel, at ${address}`,
    needsPrograms,
    () =>
      withPair(async (node, watch, client, server) => {
        for (const receiving of RECEIVING) {
          await using serving = await node.run(server, ["tcp-server", address, "0", "--mode", receiving]);
          for (const sending of SENDING) {
            const name = `${sending} to ${receiving}`;
            const args = ["tcp-client", address, String(serving.port), "--mode", sending];
            await using sender = await node.run(client, args);
            const [atClient, atServer] = [tcpSince(watch, client), tcpSince(watch, server)];
            const before = await serving.send<ServerStats>("stats");
            let sent = 0;
            for (const bytes of [1, 65_537, 1_234_567]) {
              const answer = await sender.go<Transfer>(bytes);
              sent += answer.sent;
              const { bytes_sent, bytes_retransmitted } = answer.tcp;
              assert.equal(bytes_sent - bytes_retransmitted, answer.sent, `TCP_INFO, ${name}`);
            }
            const after = await serving.send<ServerStats>("stats");
            assert.equal(sent, 1 + 65_537 + 1_234_567, name);
            const [here, there] = [atClient(), atServer()];
            assert.deepEqual([here.sent, here.received], [sent, 0], name);
            assert.deepEqual([there.sent, there.received], [0, after.received - before.received], name);
            assert.equal(there.received, sent, name);
          }
        }
      }),
  );
}

Deno.test(
  "pieces of any size count alike, on several connections at a time",
  needsPrograms,
  () =>
    withPair(async (node, watch, client, server) => {
      await using serving = await node.run(server, ["tcp-server", "127.0.0.1", "0"]);
      const sizes = [[1, 3_000], [100, 100_001], [4_096, 1_000_000], [1 << 20, 5_000_000]] as const;
      const senders = await Promise.all(
        sizes.map(([chunk]) =>
          node.run(client, ["tcp-client", "127.0.0.1", String(serving.port), "--chunk", String(chunk)])
        ),
      );
      const answers = await Promise.all(
        senders.map((sender, index) => sender.go<Transfer>(sizes[index]?.[1] ?? 0)),
      );
      const sent = answers.reduce((sum, answer) => sum + answer.sent, 0);
      assert.equal(sent, 3_000 + 100_001 + 1_000_000 + 5_000_000);
      assert.equal(tcpCounts(watch, client).sent, sent);
      assert.equal(tcpCounts(watch, server).received, sent);
    }),
);

Deno.test(
  "an end that comes with the last data is not a byte",
  needsPrograms,
  () =>
    withPair(async (node, watch, client, server) => {
      for (const receiving of RECEIVING) {
        await using serving = await node.run(server, ["tcp-server", "127.0.0.1", "0", "--mode", receiving]);
        const args = ["tcp-client", "127.0.0.1", String(serving.port), "--cork", "yes"];
        await using sender = await node.run(client, args);
        for (const bytes of [0, 1, 100, 100_000]) {
          const [atClient, atServer] = [tcpSince(watch, client), tcpSince(watch, server)];
          assert.equal((await sender.go<Transfer>(bytes)).sent, bytes);
          assert.deepEqual(
            [atClient().sent, atServer().received],
            [bytes, bytes],
            `${bytes} to ${receiving}`,
          );
        }
      }
    }),
);

Deno.test(
  "what comes in after a connection's own end was closed counts",
  needsPrograms,
  () =>
    withPair(async (node, watch, client, server) => {
      const serving = await node.run(server, ["tcp-server", "127.0.0.1", "0", "--mode", "echo"]);
      const sender = await node.run(client, [
        "tcp-client",
        "127.0.0.1",
        String(serving.port),
        "--cork",
        "yes",
      ]);
      const { sent, received } = await sender.go<Transfer>(50_000);
      assert.deepEqual([sent, received], [50_000, 50_000]);
      for (const container of [client, server]) await assertBytes(watch, container, [50_000, 50_000]);
    }),
);

const PAIRS = [
  { kind: "nonblocking", bytes: 5_000_000, what: "what sockets that never block have taken and given" },
  { kind: "discard", bytes: 100_000, what: "what is read only to be thrown away" },
  { kind: "urgent", bytes: 50_000, what: "an urgent byte that others follow" },
  { kind: "itself", bytes: 50_000, what: "what a socket sends to itself" },
];

for (const { kind, bytes, what } of PAIRS) {
  Deno.test(
    `${what} counts once in each direction`,
    needsPrograms,
    () =>
      withPair(async (node, watch, container) => {
        const pair = await node.run(container, ["pair", kind]);
        await pair.send("open");
        for (let round = 1; round <= 3; round++) {
          assert.deepEqual(await pair.go(bytes), { sent: bytes, received: bytes });
          await assertBytes(watch, container, [round * bytes, round * bytes]);
        }
        await pair.send("close");
        assert.equal(tcpCounts(watch, container).received, 3 * bytes);
      }),
  );
}

for (const kind of ["unix", "udp"]) {
  Deno.test(`${kind} sockets count nothing`, needsPrograms, () =>
    withPair(async (node, watch, container) => {
      const pair = await node.run(container, ["pair", kind]);
      await pair.send("open");
      assert.deepEqual(await pair.go(10_000), { sent: 10_000, received: 10_000 });
      await pair.send("close");
      assert.deepEqual(watch.ids("tcp"), []);
    }));
}

Deno.test(
  "a connection older than the programs loses its first piece on receiving and no more",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    const pod = await node.addPod({ name: "old", containers: ["client", "server"], ownNetwork: true });
    const [client, server] = [pod.container("client"), pod.container("server")];
    const serving = await node.run(server, ["tcp-server", "127.0.0.1", "0", "--mode", "echo"]);
    const sender = await node.run(client, ["tcp-client", "127.0.0.1", String(serving.port)]);
    await sender.send("connect");
    await sender.send("rr 3 500");

    using watch = watchTcp(node);
    const piece = 700;
    await sender.send(`rr 1 ${piece}`);
    const first = [client, server].map((container) => tcpCounts(watch, container));
    // Of such a connection the first look at what it has sent only begins.
    for (const { sent, received } of first) {
      assert.equal(received, 0);
      assert.ok(sent === piece || (sent === 0 && countsAcknowledged(watch)), `${sent} bytes sent`);
    }
    await sender.send("rr 20 900");
    const begun = countsAcknowledged(watch) ? tcpCounts(watch, client).sent % 900 : piece;
    assert.ok(begun === 0 || begun === piece, `${begun} bytes of the first piece`);
    await assertBytes(watch, client, [begun + 20 * 900, 20 * 900]);
    await assertBytes(watch, server, [piece + 20 * 900, 20 * 900]);
    assertNothingMissed(watch);
  },
);
