/**
 * What TCP does in softirq, on the CPU of whatever task a packet or a timer interrupts: retransmits and round
 * trip times. Here that task is another pod's, which burns the one CPU that all processes of a test share.
 */
import assert from "node:assert/strict";
import { LabNode } from "../lab/node.ts";
import type { LabContainer, LabPod } from "../lab/pods.ts";
import type { Transfer, Workload } from "../lab/workload.ts";
import { needsPrograms } from "./requirements.ts";
import { RetransmitAccount } from "./retransmit_account.ts";
import {
  assertNothingMissed,
  inNetworkOf,
  setSysctl,
  snmpSince,
  tcpCounts,
  tcpSince,
  timeouts,
  watchTcp,
} from "./tcp.ts";
import { until } from "./until.ts";
import { idOf, type Watch } from "./watch.ts";

const ONE_CPU = { pin: true };

interface Scene {
  readonly node: LabNode;
  readonly watch: Watch;
  readonly account: RetransmitAccount;
  readonly client: LabPod;
  readonly server: LabPod;
  /** The server's address. */
  readonly address: string;
}

/** Burns the CPU in a container until it is stopped. */
async function burn(node: LabNode, container: LabContainer): Promise<AsyncDisposable> {
  const spin = await node.run(container, ["spin"], ONE_CPU);
  let stopped = false;
  const burning = (async () => {
    while (!stopped) await spin.go(50);
  })();
  return {
    async [Symbol.asyncDispose]() {
      stopped = true;
      await burning;
    },
  };
}

/** Two linked pods, and a third that burns the CPU and must get nothing of theirs. */
async function withBystander(test: (scene: Scene) => Promise<void>): Promise<void> {
  await using node = await LabNode.start();
  const [client, server, bystander] = [
    await node.addPod({ name: "client", ownNetwork: true }),
    await node.addPod({ name: "server", ownNetwork: true }),
    await node.addPod({ name: "bystander" }),
  ];
  const [, address] = await node.link(client, server);
  using account = new RetransmitAccount();
  using watch = watchTcp(node);
  await using _burning = await burn(node, bystander.container());
  await test({ node, watch, account, client, server, address });
  const others = new Set([client, server].map((pod) => idOf(pod.container())));
  assert.deepEqual(watch.ids("tcp").filter((id) => !others.has(id)), []);
  assertNothingMissed(watch);
}

async function processes(
  { node, client, server, address }: Scene,
  ...options: string[]
): Promise<{ client: Workload; server: Workload }> {
  const serving = await node.run(server.container(), ["tcp-server", address, "0", ...options], ONE_CPU);
  const sender = ["tcp-client", address, String(serving.port)];
  return { server: serving, client: await node.run(client.container(), sender, ONE_CPU) };
}

/** Asserts that a pod's retransmits are its namespace's. */
async function assertRetransmits(
  { watch, account }: Scene,
  pod: LabPod,
  witness: () => { RetransSegs: number },
): Promise<void> {
  const counted = () => tcpCounts(watch, pod.container()).retransmits;
  assert.ok(pod.sandboxPid !== undefined);
  await account.assertAgrees(pod.spec.name, pod.sandboxPid, counted, () => witness().RetransSegs);
}

for (const percent of [5, 15]) {
  Deno.test(
    `retransmits under ${percent} % loss are the namespace's`,
    needsPrograms,
    () =>
      withBystander(async (scene) => {
        const { node, client, server } = scene;
        const { client: sender } = await processes(scene);
        const [atClient, atServer] = [snmpSince(client), snmpSince(server)];
        await node.dropTcp(server, percent);
        do assert.equal((await sender.go<Transfer>(300_000)).sent, 300_000); while (
          atClient().RetransSegs < 100
        );
        await node.dropTcp(server, 0);
        await assertRetransmits(scene, client, atClient);
        await assertRetransmits(scene, server, atServer);
      }),
  );
}

Deno.test(
  "what is sent again at once in one large packet counts by its segments",
  needsPrograms,
  () =>
    withBystander(async (scene) => {
      const { node, client, server } = scene;
      const { client: sender } = await processes(scene, "--mode", "echo");
      const [allOfClient, allOfServer] = [snmpSince(client), snmpSince(server)];
      // However long the pause, the window that this has opened stays open.
      await setSysctl(client, "ipv4/tcp_slow_start_after_idle", "0");
      await sender.send("rr 30 60000");
      const atClient = snmpSince(client);
      await node.dropTcp(server, 100);
      const exchange = sender.send<Transfer>("rr 1 60000");
      await until("the first segment was sent again", () => atClient().RetransSegs > 0);
      await node.dropTcp(server, 0);
      assert.equal((await exchange).received, 60_000);
      const segments = Math.floor(60_000 / 1_460);
      assert.ok(atClient().RetransSegs >= segments, `${atClient().RetransSegs} segments`);
      await assertRetransmits(scene, client, allOfClient);
      await assertRetransmits(scene, server, allOfServer);
    }),
);

Deno.test(
  "an attempt to send again that fails is no retransmit",
  needsPrograms,
  () =>
    withBystander(async (scene) => {
      const { node, client, server } = scene;
      const { client: asking } = await processes(scene, "--mode", "echo");
      const allOfClient = snmpSince(client);
      await asking.send("rr 1 100");
      const atClient = snmpSince(client);
      await node.dropTcp(server, 100);
      const exchange = asking.send<Transfer>("rr 1 100");
      await until("it was sent again", () => atClient().RetransSegs > 0);
      await inNetworkOf(client, "ip", "link", "set", "eth0", "down");
      const [sent, before] = [atClient().RetransSegs, timeouts(client)];
      await until("sending again has failed", () => timeouts(client) >= before + 2);
      assert.equal(atClient().RetransSegs, sent);
      await inNetworkOf(client, "ip", "link", "set", "eth0", "up");
      await node.dropTcp(server, 0);
      assert.equal((await exchange).received, 100);
      await assertRetransmits(scene, client, allOfClient);
    }),
);

Deno.test(
  "a handshake's packets sent again belong to who opens and who listens",
  needsPrograms,
  () =>
    withBystander(async (scene) => {
      const { node, client, server } = scene;
      const { client: opener } = await processes(scene);
      const [atClient, atServer] = [snmpSince(client), snmpSince(server)];
      await node.dropTcp(client, 100);
      const connection = opener.send<Transfer>("connect");
      await until("both have sent again", () => atClient().RetransSegs > 0 && atServer().RetransSegs > 0);
      await node.dropTcp(client, 0);
      assert.equal((await connection).errno, 0);
      await assertRetransmits(scene, client, atClient);
      await assertRetransmits(scene, server, atServer);
    }),
);

Deno.test(
  "round trip times are TCP_INFO's, one for each segment received",
  needsPrograms,
  () =>
    withBystander(async (scene) => {
      const { watch, client } = scene;
      const { client: asking } = await processes(scene, "--mode", "echo", "--think", "10000");
      // It takes the smoothed time some rounds to come up to the server's ten milliseconds.
      await asking.send("rr 40 100");
      const [counted, witness] = [tcpSince(watch, client.container()), snmpSince(client)];
      const shown: number[] = [];
      for (let round = 0; round < 60; round++) {
        shown.push((await asking.send<Transfer>("rr 1 100")).tcp.rtt_us);
      }
      const { rttNs, rttSamples } = counted();
      assert.equal(rttSamples, witness().InSegs);
      assert.ok(rttSamples >= shown.length, `${rttSamples} samples`);
      const mean = rttNs / rttSamples / 1e3;
      const expected = shown.reduce((sum, rtt) => sum + rtt, 0) / shown.length;
      assert.ok(expected >= 9_000, `${expected} µs is not the time the server takes`);
      assert.ok(Math.abs(mean - expected) <= expected / 10, `${mean} µs, ${expected} µs by TCP_INFO`);
    }),
);
