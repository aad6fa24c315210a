/** Interface counters of pods whose processes, interfaces and namespaces come and go. */
import assert from "node:assert/strict";
import { interfaceCollector } from "../../src/collectors/interface.ts";
import { Processes } from "../../src/collectors/processes.ts";
import { FakeProc } from "./fake_proc.ts";
import { kernelFile, PROCESSES } from "./kernel_files.ts";
import { cgroup, GRACE_MS, NodeStory, pod } from "./node_story.ts";

const HEADER = "Inter-|   Receive  |  Transmit\n face |bytes\n";

/** A net/dev with one line an interface: eight numbers of the receiving side, then eight of the sending one. */
function netDev(interfaces: Record<string, readonly number[]>): string {
  return HEADER +
    Object.entries(interfaces).map(([name, [rxBytes = 0, txDrops = 0]]) =>
      `  ${name}: ${rxBytes} 2 3 4 0 0 0 0 5 6 7 ${txDrops} 0 0 0 0\n`
    ).join("");
}

/** A pod `web` with a sandbox and a container, and what its processes and their files are. */
function setUp(spec: { hostNetwork?: boolean } = {}) {
  const web = { ...pod("web", "web", { main: ["c1"] }), ...spec };
  const [sandbox, main] = [cgroupOf("sandbox"), cgroupOf("c1")];
  const story = new NodeStory().answer([web]);
  story.live = [main, sandbox];
  const proc = new FakeProc();
  const collector = interfaceCollector(proc, new Processes(proc), { warn() {} });
  return {
    story,
    sandbox,
    main,
    proc,
    files: proc.files,
    run: ({ path }: { path: string }, ...pids: number[]) => proc.put(`/${path}`, ...pids),
    end: (...pids: number[]) => pids.forEach((pid) => proc.cgroups.delete(pid)),
    /** Runs a cycle; returns `interface value` of one family. */
    cycle(name = "rx_bytes") {
      story.cycle();
      // Whether they have processes is not known.
      const families = collector.collect({ targets: story.index, files: { textNow: () => undefined } });
      const family = families.find((each) => each.name === `kpod_net_iface_${name}_total`);
      assert.ok(family?.type === "counter");
      return family.samples.map(({ labels, value }) => `${labels.interface} ${value}`);
    },
    collector,
  };
}

function cgroupOf(container: string) {
  return { ...cgroup("web", container), path: `kubepods/podweb/${container}` };
}

Deno.test("a real node's net/dev gives one series an interface and family, once a pod and without lo", () => {
  const { story, sandbox, main, run, files, collector } = setUp();
  run(sandbox, 7);
  run(main, 8);
  files.set("7/net/dev", kernelFile(PROCESSES.writer, "net/dev"));
  story.cycle();
  const families = collector.collect({ targets: story.index, files: { textNow: () => undefined } });
  const labels = { namespace: "default", pod: "web", container: "", node: "node1", interface: "eth0" };
  const expected = [
    ["rx_bytes", 161455],
    ["rx_packets", 1628],
    ["rx_errors", 0],
    ["rx_drops", 0],
    ["tx_bytes", 141881],
    ["tx_packets", 1713],
    ["tx_errors", 0],
    ["tx_drops", 0],
  ] as const;
  assert.deepEqual(
    families.map(({ name, type, samples }) => [name, type, samples]),
    expected.map(([name, value]) => [`kpod_net_iface_${name}_total`, "counter", [{ labels, value }]]),
  );
});

const COLUMNS = [
  ["rx_bytes", 1],
  ["rx_packets", 2],
  ["rx_errors", 3],
  ["rx_drops", 4],
  ["tx_bytes", 5],
  ["tx_packets", 6],
  ["tx_errors", 7],
  ["tx_drops", 8],
] as const;

for (const [name, value] of COLUMNS) {
  Deno.test(`${name} is read from its own column`, () => {
    const { files, run, sandbox, cycle } = setUp();
    run(sandbox, 7);
    files.set("7/net/dev", netDev({ lo: [9], eth0: [1, 8] }));
    assert.deepEqual(cycle(name), [`eth0 ${value}`]);
  });
}

Deno.test("a pod in the host's network has no interfaces of its own", () => {
  const { files, run, sandbox, cycle } = setUp({ hostNetwork: true });
  run(sandbox, 7);
  files.set("7/net/dev", netDev({ eth0: [1] }));
  assert.deepEqual(cycle(), []);
});

const PROCESSES_OF: readonly [what: string, sandbox: number[], main: number[], present: number[]][] = [
  ["the sandbox's process comes first, as a container's may have a network of its own", [7], [8], [7]],
  ["even if a container's has the lower number", [8], [7], [8]],
  ["a container's process will do if the sandbox has none", [], [8], [8]],
  ["a process that has ended is passed over", [6, 7], [8], [7]],
  ["where all have ended the next cgroup's do", [4, 5, 6, 66], [8], [8]],
  ["a pod all of whose processes have ended has no interfaces yet", [6], [], []],
  ["the runtime's own process, still in the host's network, is passed over", [100], [8], [8]],
];

for (const [what, sandboxPids, mainPids, present] of PROCESSES_OF) {
  Deno.test(what, () => {
    const { proc, files, run, sandbox, main, cycle } = setUp();
    run(sandbox, ...sandboxPids);
    run(main, ...mainPids);
    for (const pid of [7, 8, 100]) files.set(`${pid}/net/dev`, netDev({ eth0: [pid] }));
    files.set("1/net/dev", netDev({ eth0: [1] }));
    const networks = [[1, 10n], [7, 11n], [8, 11n], [100, 10n]] as const;
    for (const [pid, id] of networks) proc.inodes.set(`${pid}/net/dev`, id);
    assert.deepEqual(cycle(), present.map((pid) => `eth0 ${pid}`));
  });
}

Deno.test("a pod without a process keeps its last values, and goes on from them in a new namespace", () => {
  const { story, files, run, end, sandbox, main, cycle } = setUp();
  run(sandbox, 7);
  files.set("7/net/dev", netDev({ eth0: [100, 5], net1: [50, 0] }));
  assert.deepEqual(cycle(), ["eth0 100", "net1 50"]);
  end(7);
  assert.deepEqual(cycle(), ["eth0 100", "net1 50"]);
  story.live = [];
  assert.deepEqual(cycle(), ["eth0 100", "net1 50"], "while no cgroup of it exists either");
  const anew = cgroupOf("sandbox2");
  story.live = [main, anew];
  run(anew, 9);
  files.set("9/net/dev", netDev({ eth0: [10, 6], net1: [60, 0] }));
  assert.deepEqual(cycle(), ["eth0 110", "net1 60"]);
  assert.deepEqual(cycle("tx_drops"), ["eth0 11", "net1 0"], "all counters of an interface are new at once");
  files.set("9/net/dev", netDev({ eth0: [15, 6], net1: [61, 0] }));
  assert.deepEqual(cycle(), ["eth0 115", "net1 61"]);
});

Deno.test("a namespace that is told from the one before by nothing but its number goes on from the total", () => {
  const { proc, files, run, sandbox, cycle } = setUp();
  run(sandbox, 7);
  files.set("7/net/dev", netDev({ eth0: [0] }));
  proc.inodes.set("7/net/dev", 10n).set("1/net/dev", 10n);
  files.set("1/net/dev", netDev({ eth0: [0] }));
  assert.deepEqual(cycle(), [], "it is in the host's network as yet");
  proc.inodes.set("7/net/dev", 11n);
  assert.deepEqual(cycle(), ["eth0 0"]);
});

Deno.test("an interface that is gone is absent, and goes on from its total when it is back", () => {
  const { files, run, sandbox, cycle } = setUp();
  run(sandbox, 7);
  files.set("7/net/dev", netDev({ eth0: [1], net1: [50] }));
  cycle();
  files.set("7/net/dev", netDev({ eth0: [2] }));
  assert.deepEqual(cycle(), ["eth0 2"]);
  files.set("7/net/dev", netDev({ eth0: [3], net1: [4] }));
  assert.deepEqual(cycle(), ["eth0 3", "net1 54"]);
});

Deno.test("interfaces that never come back are not kept for ever", () => {
  const { files, run, sandbox, cycle } = setUp();
  run(sandbox, 7);
  const names = Array.from({ length: 100 }, (_, index) => `veth${index}`);
  for (const name of names) {
    files.set("7/net/dev", netDev({ [name]: [10] }));
    cycle();
  }
  files.set("7/net/dev", netDev(Object.fromEntries(names.map((name) => [name, [1]]))));
  const kept = cycle().filter((sample) => sample.endsWith(" 11"));
  assert.deepEqual(kept, names.slice(-64 - 1).map((name) => `${name} 11`));
});

Deno.test("a pod is forgotten when its grace is over", () => {
  const { story, files, run, sandbox, cycle } = setUp();
  run(sandbox, 7);
  files.set("7/net/dev", netDev({ eth0: [1] }));
  cycle();
  story.answer([]);
  story.live = [];
  assert.deepEqual(cycle(), ["eth0 1"]);
  story.now += GRACE_MS;
  assert.deepEqual(cycle(), []);
});

Deno.test("a file that may not be read is an error, not an absence", () => {
  const { proc, run, sandbox, cycle } = setUp();
  run(sandbox, 13);
  proc.denied.add("13/net/dev");
  assert.throws(() => cycle(), { name: "NativeError", code: "EACCES" });
});
