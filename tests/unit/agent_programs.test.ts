/** The cycle with eBPF programs: loading them, and what becomes of counts and names in the kernel. */
import assert from "node:assert/strict";
import { kernelCollector } from "../../src/collectors/kernel_collector.ts";
import { TCP } from "../../src/collectors/tcp.ts";
import { AgentSetup, fail, gauge, needsRoot, valueOf } from "./agent_setup.ts";
import { FakeKernel } from "./fake_kernel.ts";

const tcp = () => [kernelCollector(TCP, "coarse")];

Deno.test(
  "programs that cannot be loaded are tried again, and nothing else waits for them",
  needsRoot,
  async () => {
    let attempts = 0;
    const kernel = new FakeKernel();
    const loadPrograms = () => ++attempts < 4 ? fail("Cannot load") : kernel;
    await using setup = new AgentSetup({ collectors: [gauge("one")], loadPrograms });
    const container = setup.addContainer();
    setup.answer(container.containerId);
    for (const attempt of [1, 2, 3, 4, 5]) {
      const snapshot = await setup.cycle();
      setup.answer(container.containerId);
      assert.deepEqual([snapshot.targets, valueOf(snapshot, "one")], [1, attempt]);
      assert.deepEqual(setup.agent.readiness().reasons, attempt < 4 ? ["Cannot load"] : []);
    }
    assert.equal(attempts, 4);
    assert.deepEqual(setup.logged("warn"), ["cycle is not complete: Cannot load"]);
    assert.equal(setup.agent.state().programs, kernel);
  },
);

Deno.test(
  "signals that the kernel cannot deliver are logged when the programs are loaded",
  needsRoot,
  async () => {
    const kernel = new FakeKernel();
    const common = { program: "tcp_probe", hook: "tp_btf", mayMiss: "" } as const;
    kernel.states = [
      { ...common, signal: "tcp_rtt", state: "unavailable", reason: "no BTF" },
      { ...common, signal: "oom", state: "attached", reason: "" },
    ];
    await using setup = new AgentSetup({ loadPrograms: () => kernel });
    setup.addContainer();
    await setup.cycle();
    await setup.cycle();
    assert.deepEqual(setup.logged("warn"), ["signal is not available: no BTF"]);
  },
);

Deno.test("another kubepods root takes other programs, and no count is lost", needsRoot, async () => {
  const kernels: FakeKernel[] = [];
  const watched: bigint[] = [];
  const loadPrograms = ({ id }: { id: bigint }) => {
    assert.ok(kernels.every(({ closed }) => !closed), "the old ones run until the new ones do");
    watched.push(id);
    const kernel = new FakeKernel();
    kernels.push(kernel);
    return kernel;
  };
  await using setup = new AgentSetup({ collectors: tcp(), loadPrograms });
  const count = (container: { id: bigint; name: string }, bytes: number) => {
    kernels.at(-1)?.put("tcp", container.id, { bytes_sent: bytes });
    kernels.at(-1)?.put("cgroups", container.id, setup.names(container));
  };
  const sent = async () => valueOf(await setup.cycle(1), "kpod_net_tcp_bytes_sent_total");
  const first = setup.addContainer();
  setup.answer(first.containerId);
  assert.equal(await sent(), 0);
  count(first, 7);
  assert.equal(await sent(), 7);
  count(first, 8);
  await setup.removeKubepods();
  const second = setup.addContainer();
  setup.answer(second.containerId, first.containerId);
  assert.equal(await sent(), 8);
  assert.deepEqual(kernels.map(({ closed }) => closed), [true, false]);
  count(second, 1);
  assert.equal(await sent(), 9);
  await setup.removeKubepods();
  assert.equal(await sent(), 9, "with no root at all");
  assert.equal(new Set(watched).size, 2);
  await setup.agent.stop();
  assert.deepEqual(kernels.map(({ closed }) => closed), [true, true]);
});

/** An agent over one container, with the tcp collector and a kernel. */
function watching() {
  const kernel = new FakeKernel();
  const deleted: string[] = [];
  kernel.onDelete = (map, key) => void deleted.push(`${map} ${key}`);
  const setup = new AgentSetup({ collectors: tcp(), loadPrograms: () => kernel });
  const container = setup.addContainer();
  setup.answer(container.containerId);
  const count = (bytes: number) => {
    kernel.put("tcp", container.id, { bytes_sent: bytes });
    kernel.put("cgroups", container.id, setup.names(container));
  };
  const sent = async (seconds?: number) =>
    valueOf(await setup.cycle(seconds), "kpod_net_tcp_bytes_sent_total", { pod: "web" });
  return { setup, kernel, container, deleted, count, sent };
}

Deno.test("a container that came and went between two cycles is counted", needsRoot, async () => {
  const { setup, container, kernel, count, sent } = watching();
  await using _ = setup;
  assert.equal(await sent(), 0);
  const job = setup.addContainer();
  kernel.put("tcp", job.id, { bytes_sent: 2 });
  kernel.put("cgroups", job.id, setup.names(job));
  await setup.removeContainer(job);
  setup.answer(container.containerId, job.containerId);
  count(5);
  assert.equal(await sent(), 7);
});

Deno.test("counts are deleted two cycles after the end, and the name two after them", needsRoot, async () => {
  const { setup, container, deleted, count, sent } = watching();
  await using _ = setup;
  count(5);
  const steps: [number | undefined, number][] = [];
  for (let cycle = 1; cycle <= 5; cycle++) {
    steps.push([await sent(1), deleted.length]);
    if (cycle === 1) await setup.removeContainer(container);
  }
  assert.deepEqual(steps, [[5, 0], [5, 0], [5, 1], [5, 2], [5, 2]]);
  assert.deepEqual(deleted, [`tcp ${container.id}`, `cgroups ${container.id}`]);
});

Deno.test("while it cannot be seen what exists nothing is taken to be gone", needsRoot, async () => {
  const { setup, kernel, deleted, count, sent } = watching();
  await using _ = setup;
  count(5);
  await sent(1);
  kernel.broken.set("cgroups", new Error("Cannot read map cgroups"));
  const fresh = setup.addContainer();
  kernel.put("tcp", fresh.id, { bytes_sent: 3 });
  for (let cycle = 0; cycle < 4; cycle++) assert.equal(await sent(1), 5);
  assert.deepEqual(setup.agent.readiness().reasons, ["Cannot read map cgroups"]);
  assert.deepEqual(deleted, []);
  kernel.broken.clear();
  setup.answer(fresh.containerId);
  assert.equal(await sent(1), 8);
});

Deno.test("series of a pod that is gone stay for two intervals", needsRoot, async () => {
  const { setup, container, sent } = watching();
  await using _ = setup;
  await sent();
  await setup.removeContainer(container);
  setup.answer();
  assert.deepEqual([await sent(30), await sent(30), await sent(1)], [0, 0, undefined]);
});

Deno.test(
  "a map that refuses updates is told, once a minute at most, and when it has room again",
  needsRoot,
  async () => {
    const kernel = new FakeKernel();
    await using setup = new AgentSetup({ loadPrograms: () => kernel });
    setup.answer(setup.addContainer().containerId);
    for (const refused of [0, 1, 1, 2, 2, 2, 3, 4]) {
      kernel.refused = new Map([["tcp", refused], ["oom", 0]]);
      await setup.cycle(20);
    }
    const told = setup.lines.filter(({ level, fields }) => level !== "debug" && fields?.map !== undefined);
    assert.deepEqual(
      told.map(({ message, fields }) => [message.split(":")[0], fields?.map, fields?.refused]),
      [
        ["map is full", "tcp", 1],
        ["map has room again", "tcp", undefined],
        ["map is full", "tcp", 3],
      ],
    );
  },
);
