/** The agent-side benchmarks' reckoning, what they read of expositions, and what they take for the shipped agent. */
import assert from "node:assert/strict";
import { fullPodList } from "../bench/agent_pod_list.ts";
import { isWhole } from "../bench/agent_ready.ts";
import { countSeries, valueOf, valuesBy } from "../bench/agent_scrape.ts";
import { shippedCommand } from "../bench/agent_shipped.ts";
import { percentile, slope } from "../bench/agent_statistics.ts";
import { readPodsText } from "../pods.ts";
import { LabPod, newContainerId } from "../lab/pods.ts";

const ROOT = new URL("../../", import.meta.url);

const HUNDRED = Array.from({ length: 100 }, (_, index) => 100 - index);

for (
  const [values, share, expected] of [
    [[7], 0.99, 7],
    [[3, 1, 2], 0.5, 2],
    [[4, 1, 3, 2], 0.5, 2],
    [HUNDRED, 0.99, 99],
    [HUNDRED, 1, 100],
    [HUNDRED, 0, 1],
  ] as const
) {
  Deno.test(`the ${100 * share}th percentile of ${values.length} values is ${expected}`, () => {
    assert.equal(percentile(values, share), expected);
  });
}

for (
  const [values, expected] of [
    [[1, 3, 5, 7], 2],
    [[5, 5, 5], 0],
    [[4, 3], -1],
    // Neither the first nor the last alone decides.
    [[0, 2, 2, 4], 1.2],
  ] as const
) {
  Deno.test(`${values.join(", ")} grow by ${expected} each`, () => {
    assert.ok(Math.abs(slope(values) - expected) < 1e-12, String(slope(values)));
  });
}

Deno.test("of no values there is no percentile, and of one no growth", () => {
  assert.throws(() => percentile([], 0.5), /nothing was measured/);
  assert.throws(() => slope([1]), /got 1 values/);
});

const EXPOSITION = `# HELP kpod_a_seconds A.
# TYPE kpod_a_seconds histogram
kpod_a_seconds_bucket{le="1.0"} 2
kpod_a_seconds_sum 1.25e-2
kpod_a_seconds_count 2

# TYPE kpod_b gauge
kpod_b{namespace="n",pod="p",container="c",collector="cpu"} 3 1700000000
kpod_b{namespace="n",pod="p",container="d",collector="disk"} 4
# EOF
`;

Deno.test("series of an exposition are its lines but comments and empty ones", () => {
  assert.equal(countSeries(EXPOSITION), 5);
});

Deno.test("a value is that of the series of exactly that name", () => {
  assert.equal(valueOf(EXPOSITION, "kpod_a_seconds_sum"), 0.0125);
  assert.equal(valueOf(EXPOSITION, "kpod_b"), 3);
  assert.equal(valueOf(EXPOSITION, "kpod_a_seconds"), NaN);
});

Deno.test("values are told apart by a label, wherever it stands", () => {
  assert.deepEqual([...valuesBy(EXPOSITION, "kpod_b", "collector")], [["cpu", 3], ["disk", 4]]);
  assert.deepEqual([...valuesBy(EXPOSITION, "kpod_b", "container")], [["c", 3], ["d", 4]]);
});

Deno.test("containers are whole when all are there with as many series each", () => {
  assert.equal(isWhole(EXPOSITION, "kpod_b", 2), true);
  assert.equal(isWhole(EXPOSITION, "kpod_b", 3), false);
  const more = `${EXPOSITION}kpod_b{namespace="n",pod="p",container="c",collector="memory"} 5\n`;
  assert.equal(isWhole(more, "kpod_b", 2), false);
});

Deno.test("the agent's command is that of the Dockerfile's last stage, with what it sets", () => {
  const dockerfile = `# Two stages.
FROM one
ENTRYPOINT ["deno", "first"]
ENV EARLIER=1

FROM two
ENV PATH=/bin DENO_DIR=/deno NO_UPDATE=1
ENV TUNABLES=a=b:c=d
ENTRYPOINT ["deno", "run", "--flag=x", "mod.ts"]
`;
  assert.deepEqual(shippedCommand(dockerfile), {
    args: ["run", "--flag=x", "mod.ts"],
    environment: { NO_UPDATE: "1", TUNABLES: "a=b:c=d" },
  });
  assert.throws(() => shippedCommand("\nFROM three\n"), /Cannot tell how the image runs the agent/);
});

Deno.test("the project's own image runs mod.ts with the agent's permissions", () => {
  const { args } = shippedCommand(Deno.readTextFileSync(new URL("Dockerfile", ROOT)));
  assert.equal(args.at(-1), "mod.ts");
  assert.ok(args.includes("-P=agent"), args.join(" "));
});

Deno.test("the full list of pods is read as any kubelet's, and has 10 to 15 kB a pod", () => {
  const pods = ["a", "b"].map((name) =>
    new LabPod({ name: `${name}-7d9f8c6b54-x7k2p`, namespace: "shop", containers: ["main", "proxy"] })
  );
  for (const container of pods.flatMap(({ containers }) => containers)) container.id = newContainerId();
  const text = fullPodList(pods, "node");
  const list = readPodsText(text);
  assert.deepEqual(list.malformed, []);
  assert.deepEqual(
    list.pods.map((
      { uid, name, namespace, hostNetwork, containers },
    ) => [uid, name, namespace, hostNetwork, containers.map(({ name, ids }) => [name, ...ids])]),
    pods.map((
      { uid, spec: { name }, containers },
    ) => [uid, name, "shop", false, containers.map(({ name, id }) => [name, id])]),
  );
  const size = text.length / pods.length;
  assert.ok(size > 10_000 && size < 15_000, `${size} bytes a pod`);
});
