/** Connections opened, accepted and not made, against the counters of the pods' network namespaces. */
import assert from "node:assert/strict";
import { LabNode } from "../lab/node.ts";
import type { LabContainer, LabPod } from "../lab/pods.ts";
import type { ServerStats, Transfer, Workload } from "../lab/workload.ts";
import { needsPrograms } from "./requirements.ts";
import { assertBytes, assertNothingMissed, setSysctl, snmpSince, tcpCounts, watchTcp } from "./tcp.ts";
import { until } from "./until.ts";
import { idOf, type Watch } from "./watch.ts";

const EADDRNOTAVAIL = 99, ENETUNREACH = 101, ETIMEDOUT = 110, ECONNREFUSED = 111;
/** Where nobody listens. */
const NO_PORT = "1";

/** Opens a connection, gives up after some milliseconds unless they are zero, and returns its errno. */
async function connect(client: Workload, milliseconds = 0): Promise<number> {
  return (await client.send<{ errno: number }>(`connect ${milliseconds}`)).errno;
}

function opens(watch: Watch, container: LabContainer) {
  const { active, passive, failures } = tcpCounts(watch, container);
  return { active, passive, failures };
}

/** Two linked pods with networks of their own, watched, and what their namespaces have counted since. */
async function withLink(
  test: (node: LabNode, watch: Watch, client: LabPod, server: LabPod, address: string) => Promise<void>,
): Promise<void> {
  await using node = await LabNode.start();
  const [client, server] = [
    await node.addPod({ name: "client", ownNetwork: true }),
    await node.addPod({ name: "server", ownNetwork: true, containers: ["main", "helper"] }),
  ];
  const [, address] = await node.link(client, server);
  using watch = watchTcp(node);
  await test(node, watch, client, server, address);
  assertNothingMissed(watch);
}

Deno.test(
  "a connection is active at the end that opened it and passive at the other",
  needsPrograms,
  () =>
    withLink(async (node, watch, a, b, address) => {
      const [snmpA, snmpB] = [snmpSince(a), snmpSince(b)];
      const server = await node.run(b.container(), ["tcp-server", address, "0"]);
      const client = await node.run(a.container(), ["tcp-client", address, String(server.port)]);
      for (let count = 0; count < 30; count++) {
        const errno = count % 2 ? await connect(client, 5_000) : (await client.go<Transfer>(count)).errno;
        assert.equal(errno, 0);
      }
      await client.send("close");
      // The last packet of a handshake may still be on its way when connect() returns.
      await until("the server has all connections", () => opens(watch, b.container()).passive >= 30);
      assert.deepEqual(opens(watch, a.container()), { active: 30, passive: 0, failures: 0 });
      assert.deepEqual(opens(watch, b.container()), { active: 0, passive: 30, failures: 0 });
      assert.deepEqual([snmpA().ActiveOpens, snmpA().PassiveOpens], [30, 0]);
      assert.deepEqual([snmpB().ActiveOpens, snmpB().PassiveOpens], [0, 30]);
    }),
);

/** What keeps a connection from being made; the kernel's counters do not know all of it. */
const FAILURES = [
  { name: "refused", port: NO_PORT, errno: ECONNREFUSED, opens: 1, fails: 1, failures: 1 },
  { name: "timed out", drops: true, errno: ETIMEDOUT, opens: 1, fails: 1, failures: 1 },
  { name: "given up unanswered", drops: true, giveUp: 20, errno: ETIMEDOUT, opens: 1, fails: 0, failures: 1 },
  { name: "without a free port", ports: 1, errno: EADDRNOTAVAIL, opens: 0, fails: 0, failures: 1 },
  { name: "without a route", to: "192.0.2.1", errno: ENETUNREACH, opens: 0, fails: 0, failures: 0 },
];

for (const row of FAILURES) {
  const outcome = row.failures === 0 ? "was never opened" : "is a failure of the end that opened it";
  Deno.test(
    `a connection ${row.name} ${outcome}`,
    needsPrograms,
    () =>
      withLink(async (node, watch, a, b, address) => {
        await setSysctl(a, "ipv4/tcp_syn_retries", "1");
        if (row.ports !== undefined) await setSysctl(a, "ipv4/ip_local_port_range", "45000 45000");
        if (row.drops) await node.dropTcp(b, 100);
        const server = await node.run(b.container(), ["tcp-server", address, "0"]);
        const port = row.port ?? String(server.port);
        const client = await node.run(a.container(), ["tcp-client", row.to ?? address, port]);
        if (row.ports !== undefined) assert.equal(await connect(client), 0);
        const [before, snmp] = [opens(watch, a.container()), snmpSince(a)];
        assert.equal(await connect(client, row.giveUp), row.errno);
        assert.deepEqual(opens(watch, a.container()), { ...before, failures: row.failures });
        assert.deepEqual([snmp().ActiveOpens, snmp().AttemptFails], [row.opens, row.fails]);
        assert.equal(tcpCounts(watch, b.container()).failures, 0);
      }),
  );
}

Deno.test(
  "a handshake that the client gives up half-way is no connection of the server",
  needsPrograms,
  () =>
    withLink(async (node, watch, a, b, address) => {
      await setSysctl(b, "ipv4/tcp_synack_retries", "0");
      const server = await node.run(b.container(), ["tcp-server", address, "0"]);
      const client = await node.run(a.container(), ["tcp-client", address, String(server.port)]);
      await node.dropTcp(a, 100);
      const snmp = snmpSince(b);
      assert.equal(await connect(client, 20), ETIMEDOUT);
      assert.equal(snmp().InSegs, 1, "the server got the request");
      assert.deepEqual(opens(watch, a.container()), { active: 0, passive: 0, failures: 1 });
      assert.deepEqual(opens(watch, b.container()), { active: 0, passive: 0, failures: 0 });
      assert.equal(snmp().PassiveOpens, 0);
    }),
);

Deno.test(
  "two ends that open a connection at the same time are both active",
  needsPrograms,
  () =>
    withLink(async (node, watch, pod) => {
      const container = pod.container();
      const snmp = snmpSince(pod);
      const pair = await node.run(container, ["pair", "simultaneous"]);
      await node.dropTcp(pod, 100);
      await pair.send("open");
      assert.deepEqual(opens(watch, container), { active: 0, passive: 0, failures: 0 });
      await node.dropTcp(pod, 0);
      // The requests are sent again after a second, and cross.
      assert.deepEqual(await pair.go(3_000), { sent: 3_000, received: 3_000 });
      assert.deepEqual(opens(watch, container), { active: 2, passive: 0, failures: 0 });
      const { ActiveOpens, PassiveOpens, AttemptFails } = snmp();
      assert.deepEqual([ActiveOpens, PassiveOpens, AttemptFails], [2, 0, 0]);
      const { sent, received } = tcpCounts(watch, container);
      assert.deepEqual([sent, received], [3_000, 3_000]);
    }),
);

Deno.test(
  "a socket that is connected to itself is one active connection",
  needsPrograms,
  () =>
    withLink(async (node, watch, pod) => {
      const snmp = snmpSince(pod);
      const pair = await node.run(pod.container(), ["pair", "itself"]);
      await pair.send("open");
      await pair.go(1);
      assert.deepEqual(opens(watch, pod.container()), { active: 1, passive: 0, failures: 0 });
      assert.deepEqual([snmp().ActiveOpens, snmp().PassiveOpens], [1, 0]);
    }),
);

Deno.test(
  "an accepted connection belongs to the container that listens, whoever accepts it",
  needsPrograms,
  () =>
    withLink(async (node, watch, a, b, address) => {
      const [listening, accepting] = [b.container("main"), b.container("helper")];
      const server = await node.run(listening, ["tcp-server", address, "0"]);
      // As a child would be that another container's runtime has put elsewhere.
      await Deno.writeTextFile(`${accepting.cgroup}/cgroup.procs`, String(server.pid));
      const client = await node.run(a.container(), ["tcp-client", address, String(server.port)]);
      assert.equal((await client.go<Transfer>(5_000)).sent, 5_000);
      assert.equal((await server.send<ServerStats>("stats")).accepted, 1);
      const { passive, received } = tcpCounts(watch, listening);
      assert.deepEqual([passive, received], [1, 5_000]);
      assert.equal(watch.ids("tcp").includes(idOf(accepting)), false);
    }),
);

Deno.test(
  "what a connection carries belongs to the container that it was made in, wherever its process goes",
  needsPrograms,
  () =>
    withLink(async (node, watch, a, b, address) => {
      const [making, moving] = [b.container("main"), b.container("helper")];
      const server = await node.run(making, ["tcp-server", address, "0", "--mode", "echo"]);
      const client = await node.run(a.container(), ["tcp-client", address, String(server.port)]);
      await client.send("connect");
      await client.send("rr 3 500");
      await Deno.writeTextFile(`${moving.cgroup}/cgroup.procs`, String(server.pid));
      await client.send("rr 4 500");
      await assertBytes(watch, making, [7 * 500, 7 * 500]);
      assert.ok(tcpCounts(watch, making).rttSamples >= 7);
      assert.equal(watch.ids("tcp").includes(idOf(moving)), false);
    }),
);

Deno.test(
  "a connection counts alike in a cgroup below the container's",
  needsPrograms,
  () =>
    withLink(async (node, watch, a, b, address) => {
      const below = { below: "system.slice/inner.service" };
      const server = await node.run(b.container(), ["tcp-server", address, "0"], below);
      const client = await node.run(a.container(), ["tcp-client", address, String(server.port)], below);
      assert.equal((await client.go<Transfer>(5_000)).sent, 5_000);
      const [here, there] = [tcpCounts(watch, a.container()), tcpCounts(watch, b.container())];
      assert.deepEqual([here.active, here.sent], [1, 5_000]);
      assert.deepEqual([there.passive, there.received], [1, 5_000]);
      assert.deepEqual(watch.ids("tcp").sort(), [idOf(a.container()), idOf(b.container())].sort());
    }),
);
