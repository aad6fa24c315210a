/** Interface counters against `ip` in the pods' own network namespaces. */
import assert from "node:assert/strict";
import { interfaceCollector } from "../../src/collectors/interface.ts";
import { Processes } from "../../src/collectors/processes.ts";
import { HostRoot } from "../../src/native/host_files.ts";
import { LabNode } from "../lab/node.ts";
import type { LabPod } from "../lab/pods.ts";
import { Workload } from "../lab/workload.ts";
import { LabCycle } from "./lab_cycle.ts";
import { needsLab } from "./requirements.ts";

const LIMIT_MS = 10_000;
const BYTES = 5_000_000;

/** One interface as `ip -s -j link` shows it; of `rx.dropped` and the rest those that net/dev has. */
interface IpLink {
  readonly ifname: string;
  readonly stats64: { readonly rx: IpSide; readonly tx: IpSide };
}

interface IpSide {
  readonly bytes: number;
  readonly packets: number;
  readonly errors: number;
  readonly dropped: number;
  /** net/dev adds these to the dropped ones. */
  readonly missed_errors?: number;
}

/** What runs in the network namespace of a pod answers. */
async function inside(pod: LabPod, command: string[]): Promise<string> {
  const args = ["--target", String(pod.sandboxPid), "--net", "--", ...command];
  const { success, stdout, stderr } = await new Deno.Command("nsenter", { args }).output();
  assert.ok(success, `${command.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** `interface counter` to value, of every interface but `lo`. */
async function ipCounters(pod: LabPod): Promise<Map<string, number>> {
  const links = JSON.parse(await inside(pod, ["ip", "-s", "-j", "link"])) as IpLink[];
  return new Map(
    links.filter(({ ifname }) => ifname !== "lo").flatMap(({ ifname, stats64 }) =>
      (["rx", "tx"] as const).flatMap((side): [string, number][] => {
        const { bytes, packets, errors, dropped, missed_errors = 0 } = stats64[side];
        return [
          [`${ifname} ${side}_bytes`, bytes],
          [`${ifname} ${side}_packets`, packets],
          [`${ifname} ${side}_errors`, errors],
          [`${ifname} ${side}_drops`, dropped + missed_errors],
        ];
      })
    ),
  );
}

/** A lab node and the collector over it. */
async function setUp() {
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await LabNode.start());
  const lab = new LabCycle(node);
  const proc = stack.use(HostRoot.open("/proc"));
  const collector = interfaceCollector(proc, new Processes(proc), { warn() {} });
  /** What the collector says of a pod, as `ipCounters` does. */
  const collect = (pod: LabPod) => {
    const counters = new Map<string, number>();
    for (const { name, samples } of collector.collect(lab.next())) {
      for (const sample of samples) {
        const { labels } = sample;
        assert.ok("value" in sample && labels.container === "");
        if (labels.pod !== pod.spec.name) continue;
        const key = `${labels.interface} ${name.replace(/^kpod_net_iface_(\w+)_total$/, "$1")}`;
        assert.ok(!counters.has(key), `${key} is there twice`);
        counters.set(key, sample.value);
      }
    }
    return counters;
  };
  const owned = stack.move();
  return { node, collect, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Compares where nothing changes meanwhile: the kernel sends a packet of its own now and then. */
async function assertAgree(pod: LabPod, collect: (pod: LabPod) => Map<string, number>) {
  const deadline = performance.now() + LIMIT_MS;
  for (;;) {
    const before = await ipCounters(pod);
    const collected = collect(pod);
    const isStill = JSON.stringify([...before]) === JSON.stringify([...await ipCounters(pod)]);
    if (isStill || performance.now() > deadline) {
      assert.deepEqual(sorted(collected), sorted(before));
      return collected;
    }
  }
}

function sorted(counters: ReadonlyMap<string, number>): [string, number][] {
  return [...counters].sort(([one], [other]) => one < other ? -1 : 1);
}

Deno.test(
  "every interface of a pod has the counters that ip shows, after real traffic",
  needsLab,
  async () => {
    await using lab = await setUp();
    const { node, collect } = lab;
    const [a, b] = [
      await node.addPod({ name: "a", ownNetwork: true }),
      await node.addPod({ name: "b", ownNetwork: true, containers: ["one", "two"] }),
    ];
    const [, address] = await node.link(a, b);
    await node.link(a, b);
    const server = await node.run(b.container("two"), ["tcp-server", address, "0"]);
    const client = await node.run(a.container(), ["tcp-client", address, String(server.port)]);
    await client.go(BYTES);
    for (const pod of [a, b]) await assertAgree(pod, collect);
    const before = collect(a).get("eth0 tx_bytes") ?? 0;
    await client.go(BYTES);
    const after = await assertAgree(a, collect);
    assert.ok((after.get("eth0 tx_bytes") ?? 0) - before >= BYTES);
    assert.equal([...after.keys()].filter((key) => key.startsWith("eth")).length, 2 * 8, "two interfaces");
  },
);

Deno.test("packets that a device drops are counted on both ends", needsLab, async () => {
  await using lab = await setUp();
  const { node, collect } = lab;
  const [a, b] = [
    await node.addPod({ name: "a", ownNetwork: true }),
    await node.addPod({ name: "b", ownNetwork: true }),
  ];
  const [, address] = await node.link(a, b);
  await inside(b, ["ip", "link", "set", "eth0", "mtu", "1000"]);
  // The first one is held back until the address is resolved; it is lost as well, but of the right size.
  await inside(a, ["ip", "neighbour", "replace", address, "lladdr", await macOf(b), "dev", "eth0"]);
  const before = [collect(a).get("eth0 tx_drops"), collect(b).get("eth0 rx_drops")];
  const datagrams = `for i in 1 2 3 4 5 6 7; do printf '%01400d' 0 > /dev/udp/${address}/9; done`;
  await inside(a, ["bash", "-c", datagrams]);
  const after = [await assertAgree(a, collect), await assertAgree(b, collect)];
  assert.deepEqual(
    [after[0]?.get("eth0 tx_drops"), after[1]?.get("eth0 rx_drops")],
    before.map((drops) => (drops ?? NaN) + 7),
  );
});

async function macOf(pod: LabPod): Promise<string> {
  const [link] = JSON.parse(await inside(pod, ["ip", "-j", "link", "show", "eth0"])) as { address: string }[];
  return link?.address ?? "";
}

Deno.test(
  "a pod in the host's network has no series, and a pod without a link none for lo",
  needsLab,
  async () => {
    await using lab = await setUp();
    const { node, collect } = lab;
    const host = await node.addPod({ name: "host" });
    const alone = await node.addPod({ name: "alone", ownNetwork: true });
    assert.equal(collect(host).size, 0);
    // A kernel with tunnel modules puts their fallback devices into every namespace.
    await assertAgree(alone, collect);
  },
);

Deno.test(
  "a pod keeps its totals when its sandbox ends, and goes on from them in a new one",
  needsLab,
  async () => {
    await using lab = await setUp();
    const { node, collect } = lab;
    const [a, b] = [
      await node.addPod({ name: "a", ownNetwork: true }),
      await node.addPod({ name: "b", ownNetwork: true }),
    ];
    const [, address] = await node.link(a, b);
    await inside(a, ["bash", "-c", `for i in 1 2 3 4; do echo hello > /dev/udp/${address}/9; done`]);
    const before = await assertAgree(a, collect);

    Deno.kill(a.sandboxPid ?? 0, "SIGKILL");
    await untilEmpty(a.sandboxCgroup);
    assert.deepEqual(sorted(collect(a)), sorted(before));

    // Another pod's namespace, which has counted less, passes for the new one.
    const other = await node.addPod({ name: "other", ownNetwork: true });
    await node.link(other, b);
    Deno.writeTextFileSync(`${a.sandboxCgroup}/cgroup.procs`, String(other.sandboxPid));
    a.sandboxPid = other.sandboxPid;
    const now = await ipCounters(a);
    const collected = collect(a);
    for (const [key, value] of before) {
      const total = collected.get(key) ?? NaN;
      assert.ok(
        total >= value && total >= value + (now.get(key) ?? NaN),
        `${key} fell from ${value} to ${total}`,
      );
    }
  },
);

Deno.test(
  "a process that has joined a pod's cgroup and not yet its network does not count as the pod's",
  needsLab,
  async () => {
    await using lab = await setUp();
    const { node, collect } = lab;
    const [a, b] = [
      await node.addPod({ name: "a", ownNetwork: true }),
      await node.addPod({ name: "b", ownNetwork: true }),
    ];
    await node.link(a, b);
    const before = await assertAgree(a, collect);
    Deno.kill(a.sandboxPid ?? 0, "SIGKILL");
    await untilEmpty(a.sandboxCgroup);
    await using starting = await Workload.start(["pause"], { cgroups: [a.sandboxCgroup] });
    assert.deepEqual(sorted(collect(a)), sorted(before), `process ${starting.pid} is in the host's network`);
  },
);

async function untilEmpty(cgroup: string): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  while (Deno.readTextFileSync(`${cgroup}/cgroup.procs`) !== "") {
    assert.ok(performance.now() < deadline, `${cgroup} does not get empty`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
