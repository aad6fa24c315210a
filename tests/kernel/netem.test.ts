/** Round trip times and retransmits on a link whose delay and loss are set, by the kernel's network emulator. */
import assert from "node:assert/strict";
import { LabNode } from "../lab/node.ts";
import type { LabPod } from "../lab/pods.ts";
import type { Transfer } from "../lab/workload.ts";
import { needsNetem } from "./requirements.ts";
import { RetransmitAccount } from "./retransmit_account.ts";
import { assertNothingMissed, inNetworkOf, snmpSince, tcpCounts, tcpSince, watchTcp } from "./tcp.ts";

/** What the emulator does to all that a pod sends. */
function impair(pod: LabPod, ...what: string[]): Promise<void> {
  return inNetworkOf(pod, "tc", "qdisc", "replace", "dev", "eth0", "root", "netem", ...what);
}

async function linked(node: LabNode): Promise<{ client: LabPod; server: LabPod; address: string }> {
  const client = await node.addPod({ name: "client", ownNetwork: true });
  const server = await node.addPod({ name: "server", ownNetwork: true });
  const [, address] = await node.link(client, server);
  return { client, server, address };
}

Deno.test(
  "retransmits over a link that loses packets both ways are the namespaces'",
  needsNetem,
  async () => {
    await using node = await LabNode.start();
    const { client, server, address } = await linked(node);
    using account = new RetransmitAccount();
    using watch = watchTcp(node);
    const serving = await node.run(server.container(), ["tcp-server", address, "0", "--mode", "echo"]);
    const sender = await node.run(client.container(), ["tcp-client", address, String(serving.port)]);
    const since = [client, server].map((pod) => ({ pod, witness: snmpSince(pod) }));
    await impair(client, "loss", "10%", "delay", "1ms");
    await impair(server, "loss", "10%", "delay", "1ms");
    do assert.equal((await sender.send<Transfer>("rr 5 20000")).received, 100_000); while (
      since.some(({ witness }) => witness().RetransSegs < 20)
    );
    await impair(client, "loss", "0%");
    await impair(server, "loss", "0%");
    for (const { pod, witness } of since) {
      assert.ok(pod.sandboxPid !== undefined);
      const counted = () => tcpCounts(watch, pod.container()).retransmits;
      await account.assertAgrees(pod.spec.name, pod.sandboxPid, counted, () => witness().RetransSegs);
    }
    assertNothingMissed(watch);
  },
);

const ATTEMPTS = 10;

for (const milliseconds of [40, 150]) {
  Deno.test(`round trip times over a link of ${milliseconds} ms are that long`, needsNetem, async () => {
    await using node = await LabNode.start();
    const { client, server, address } = await linked(node);
    using watch = watchTcp(node);
    await impair(client, "delay", `${milliseconds}ms`);
    const serving = await node.run(server.container(), ["tcp-server", address, "0", "--mode", "echo"]);
    for (let attempt = 1;; attempt++) {
      const counted = tcpSince(watch, client.container());
      await using asking = await node.run(client.container(), ["tcp-client", address, String(serving.port)]);
      await asking.send<Transfer>("rr 20 100");
      const { rttNs, rttSamples } = counted();
      assert.ok(rttSamples >= 20, `${rttSamples} samples`);
      const mean = rttNs / rttSamples / 1e6;
      assert.ok(mean >= milliseconds * 0.99, `${mean} ms are less than the link takes`);
      if (mean <= milliseconds * 1.1) break;
      // Either end may wait for its CPU meanwhile: not every time.
      assert.ok(attempt < ATTEMPTS, `${mean} ms`);
    }
    assertNothingMissed(watch);
  });
}
