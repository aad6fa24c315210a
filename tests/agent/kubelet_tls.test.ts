/** The agent and the certificate of its kubelet. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { needsLab } from "../kernel/requirements.ts";
import { createCertificates } from "../lab/certificates.ts";
import { LabNode } from "../lab/node.ts";
import { AgentProcess, type Labels, SHORT_INTERVALS } from "./agent.ts";

/** Settings under which pods are all that the kubelet is needed for, and the certificate has the node's name. */
function settings(node: LabNode, caFiles: readonly string[]): Labels {
  return {
    ...node.agentEnvironment(),
    ...SHORT_INTERVALS,
    KPOD_PROFILE: "custom",
    KPOD_COLLECTORS: "cpu",
    KPOD_KUBELET_SERVER_NAME: "",
    KPOD_KUBELET_CA_FILE: caFiles.join(),
  };
}

Deno.test(
  "with the cluster's CA alone a kubelet that signed itself is refused; with a copy of its certificate it is believed",
  needsLab,
  async () => {
    await using node = await LabNode.start();
    await node.addPod({ name: "web" });
    const cluster = await Deno.makeTempDir({ dir: node.directory });
    await createCertificates(cluster, "cluster");
    const copy = join(node.directory, "copy.crt");
    await using agent = await AgentProcess.start(settings(node, [join(cluster, "ca.crt"), copy]));
    await agent.until(
      "a poll has failed",
      (scrape) => scrape.sum("kpod_discovery_errors_total", { reason: "tls" }) > 0,
    );
    assert.equal((await agent.readiness()).status, 503);
    const [line = "no line"] = agent.log.split("\n").filter((line) => line.includes("vouches"));
    const { level, message } = JSON.parse(line);
    assert.equal(level, "warn");
    assert.match(message, /got a certificate for DNS:lab-node, signed by lab-node-ca@\d+, valid from /);
    const told =
      `which no CA in ${cluster}/ca.crt (there is no ${copy}) vouches for; this kubelet signs its own`;
    assert.ok(message.includes(told), message);

    await Deno.copyFile(join(node.directory, "kubelet.crt"), copy);
    await agent.untilReady();
    const scrape = await agent.until(
      "the pod has series",
      (scrape) => scrape.find("kpod_cpu_usage_seconds_total", { pod: "web" }).length > 0,
    );
    assert.equal(scrape.sum("kpod_discovery_pods"), 1);
    assert.ok(!agent.log.includes("KPOD_KUBELET_INSECURE_TLS"), agent.log);
  },
);

Deno.test("an agent that verifies nobody says so at its start, and once", needsLab, async () => {
  await using node = await LabNode.start();
  await node.addPod({ name: "web" });
  const environment = {
    ...settings(node, [join(node.directory, "none")]),
    KPOD_KUBELET_INSECURE_TLS: "true",
  };
  await using agent = await AgentProcess.ready(environment);
  const first = await agent.scrape();
  const polls = (await agent.after(first)).sum("kpod_discovery_last_success_timestamp_seconds");
  await agent.until(
    "another poll",
    (scrape) => scrape.sum("kpod_discovery_last_success_timestamp_seconds") > polls,
  );
  const lines = agent.log.split("\n").filter((line) => line.includes("INSECURE"));
  assert.equal(lines.length, 1, agent.log);
  const { level, message } = JSON.parse(lines[0] ?? "");
  assert.deepEqual([level, message], [
    "warn",
    `The kubelet's certificate is not verified: whoever answers at ${node.kubelet.url} is believed and gets the token ` +
    `in ${node.directory}/token; unset KPOD_KUBELET_INSECURE_TLS`,
  ]);
});
