/** The cycle: what it takes from whom, what it serves, and how little of it falls with what fails. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { LoadedPrograms } from "../../src/agent.ts";
import type { Collector } from "../../src/collectors/collector.ts";
import { AgentSetup, fail, gauge, KUBELET_POLL_MS, needsRoot, POLL_MS, UID, valueOf } from "./agent_setup.ts";
import { until } from "../kernel/until.ts";
import { FakeKernel } from "./fake_kernel.ts";
import { pod } from "./node_story.ts";

Deno.test(
  "a collector that fails takes no other down, and is logged when that begins",
  needsRoot,
  async () => {
    const failing = new Set([2, 3, 5]);
    const collectors = [
      gauge("one"),
      gauge("two", (run) => failing.has(run) && fail(`run ${run}`)),
      gauge("three"),
    ];
    await using setup = new AgentSetup({ collectors });
    setup.addContainer();
    for (const run of [1, 2, 3, 4, 5]) {
      const snapshot = await setup.cycle();
      assert.deepEqual([valueOf(snapshot, "one"), valueOf(snapshot, "three")], [run, run]);
      assert.equal(valueOf(snapshot, "two"), failing.has(run) ? undefined : run);
      const up = (collector: string) => valueOf(snapshot, "kpod_collector_up", { collector });
      assert.deepEqual(["one", "two", "three"].map(up), [1, failing.has(run) ? 0 : 1, 1]);
      assert.deepEqual(snapshot.runs.map(({ up }) => up), [true, !failing.has(run), true]);
    }
    assert.deepEqual(setup.logged("error"), ["collector failed: run 2", "collector failed: run 5"]);
  },
);

Deno.test("snapshots asked for at the same time are one", needsRoot, async () => {
  const collector = gauge("one");
  await using setup = new AgentSetup({ collectors: [collector] });
  const snapshots = await Promise.all([1, 2, 3, 4].map(() => setup.agent.snapshot()));
  assert.equal(new Set(snapshots).size, 1);
  assert.equal(collector.runs, 1);
});

Deno.test("a snapshot is used again for a second", async () => {
  const collector = gauge("one");
  await using setup = new AgentSetup({ collectors: [collector] });
  const runs: number[] = [];
  for (const seconds of [0, 0.999, 0.001, 0.5, 0.499, 1]) {
    await setup.cycle(seconds);
    runs.push(collector.runs);
  }
  assert.deepEqual(runs, [1, 1, 2, 2, 2, 3]);
});

Deno.test(
  "all collectors are given the same object in one cycle, and another in the next",
  needsRoot,
  async () => {
    const given: unknown[] = [];
    const collector = (name: string): Collector => ({
      name,
      collect(cycle) {
        given.push(cycle);
        return [];
      },
    });
    await using setup = new AgentSetup({ collectors: [collector("one"), collector("two")] });
    await setup.cycle();
    await setup.cycle();
    assert.equal(given.length, 4);
    const [first, second, third, fourth] = given;
    assert.deepEqual([first === second, second === third, third === fourth], [true, false, true]);
  },
);

Deno.test(
  "who waits goes first, who needs files last, and all are served in their order",
  needsRoot,
  async () => {
    const events: string[] = [];
    const collector = (name: string, more: Partial<Collector> = {}): Collector => ({
      name,
      collect() {
        events.push(name);
        return gauge(name).collect({} as never);
      },
      ...more,
    });
    const answer = Promise.withResolvers<void>();
    const waiting = collector("waiting", {
      waits: true,
      async collect() {
        events.push("waiting");
        await answer.promise;
        events.push("answered");
        return gauge("waiting").collect({} as never);
      },
    });
    const last = collector("last", {
      collect() {
        events.push("last");
        answer.resolve();
        return [];
      },
    });
    const collectors = [collector("file", { files: ["cpu.stat"] }), collector("first"), waiting, last];
    await using setup = new AgentSetup({ collectors });
    setup.addContainer();
    const { runs, families } = await setup.cycle();
    assert.deepEqual(events.filter((event) => event !== "answered" && event !== "file"), [
      "waiting",
      "first",
      "last",
    ]);
    assert.ok(events.indexOf("file") > events.indexOf("last"));
    assert.deepEqual(runs.map(({ name }) => name), ["file", "first", "waiting", "last"]);
    assert.deepEqual(
      families.map(({ name }) => name).filter((name) => collectors.some((each) => each.name === name)),
      ["file", "first", "waiting"],
    );
  },
);

Deno.test("a collector of files has those of its own cycle", needsRoot, async () => {
  const found: unknown[] = [];
  const reader: Collector = {
    name: "reader",
    files: ["cgroup.events", "cgroup.max.depth"],
    collect({ targets, files }) {
      const [cgroup] = targets.live();
      found.push(cgroup && files.text(cgroup.id, "cgroup.max.depth"));
      return [];
    },
  };
  await using setup = new AgentSetup({ collectors: [reader] });
  const { containerId, name } = setup.addContainer();
  setup.answer(containerId);
  // Many of them: the thread that reads may be done before anybody has to wait for it.
  const depths = Array.from({ length: 50 }, (_, index) => String(index));
  for (const depth of depths) {
    setup.write(name, "cgroup.max.depth", depth);
    await setup.cycle();
  }
  assert.deepEqual(found, depths.map((depth) => `${depth}\n`));
});

Deno.test("a published snapshot does not change", needsRoot, async () => {
  await using setup = new AgentSetup({ collectors: [gauge("one")] });
  const first = await setup.cycle();
  const before = JSON.stringify(first);
  await setup.cycle();
  assert.equal(JSON.stringify(first), before);
});

Deno.test("cycles run every interval until it is stopped", needsRoot, async () => {
  const third = Promise.withResolvers<void>();
  await using setup = new AgentSetup({
    collectors: [gauge("one", (run) => run === 3 && third.resolve())],
    pollIntervalMs: 5,
  });
  await setup.agent.start();
  await third.promise;
  // The test's sanitizer sees that no timer is left.
  await setup.agent.stop();
});

Deno.test("the timer leaves out the cycles that scrapes make, and no more", needsRoot, async () => {
  const pollIntervalMs = 1000;
  const runs = gauge("runs");
  await using setup = new AgentSetup({ collectors: [runs], pollIntervalMs });
  await setup.agent.start();
  const scrapes = 6;
  for (let scrape = 0; scrape < scrapes; scrape++) {
    await pause(pollIntervalMs / 4);
    await setup.cycle();
  }
  assert.equal(runs.runs, 1 + scrapes);
  await until("there is a cycle without a scrape", () => runs.runs > 1 + scrapes);
});

Deno.test("the kubelet's first answer is followed by a cycle, later ones are not", needsRoot, async () => {
  const runs = gauge("runs");
  await using setup = new AgentSetup({ collectors: [runs] });
  const { containerId } = setup.addContainer();
  await setup.cycle();
  assert.deepEqual([runs.runs, setup.agent.state().snapshot?.targets], [1, 0]);
  const pods = [pod(UID, "web", { main: [containerId] })];
  setup.answer(containerId);
  setup.agent.learn(pods);
  await until("there is a snapshot with names", () => setup.agent.state().snapshot?.targets === 1);
  setup.agent.learn(pods);
  await setup.agent.snapshot();
  assert.equal(runs.runs, 2);
});

Deno.test("readiness names what has not happened yet, or not for three intervals", needsRoot, async () => {
  await using setup = new AgentSetup();
  const { agent } = setup;
  setup.addContainer();
  assert.deepEqual(agent.readiness(), {
    ready: false,
    reasons: ["waiting for the kubelet's first good answer", "waiting for the first cycle"],
  });
  setup.answer("c1");
  assert.deepEqual(agent.readiness().reasons, ["waiting for the first cycle"]);
  await setup.cycle(0);
  assert.deepEqual(agent.readiness(), { ready: true, reasons: [] });
  setup.now += 3 * KUBELET_POLL_MS;
  assert.equal(agent.readiness().ready, true);
  setup.now += 1;
  assert.deepEqual(agent.readiness().reasons, [
    "the kubelet's last good answer is 30 s old, more than 3 intervals",
  ]);
  setup.answer("c1");
  setup.now += 3 * POLL_MS;
  assert.deepEqual(agent.readiness().reasons, [
    "the kubelet's last good answer is 90 s old, more than 3 intervals",
    "the last cycle is 120 s old, more than 3 intervals",
  ]);
  setup.answer("c1");
  await setup.cycle(0);
  assert.deepEqual(agent.readiness(), { ready: true, reasons: [] });
});

Deno.test(
  "a missing hierarchy or root is a reason, logged once each, and found when it comes",
  needsRoot,
  async () => {
    await using setup = new AgentSetup({ collectors: [gauge("one")] });
    const reasons = async () => {
      setup.answer("c1");
      assert.ok(valueOf(await setup.cycle(20), "one"), "collectors run all the same");
      return setup.agent.readiness().reasons;
    };
    const [missing = ""] = await reasons();
    assert.match(missing, /^Cannot find cgroup v2: .*ENOENT.*; set KPOD_CGROUP_ROOT/);
    assert.deepEqual(await reasons(), [missing]);
    setup.mount();
    const none = "no kubepods cgroup found: is a kubelet running here?";
    assert.deepEqual([await reasons(), await reasons()], [[none], [none]]);
    setup.addContainer();
    assert.deepEqual([await reasons(), await reasons()], [[], []]);
    await setup.unmount();
    assert.match((await reasons())[0] ?? "", /^Cannot /);
    await reasons();
    setup.addContainer();
    assert.deepEqual(await reasons(), []);
    assert.deepEqual(
      setup.lines.filter(({ level }) => level !== "debug").map(({ level, message, fields }) =>
        `${level} ${message} ${String(fields?.reason).slice(0, 11)}`
      ),
      [
        "warn cycle is not complete Cannot find",
        "warn cycle is not complete no kubepods",
        "info cycle is complete again undefined",
        "warn cycle is not complete Cannot find",
        "info cycle is complete again undefined",
      ],
    );
  },
);

Deno.test("a cgroup without a name asks the kubelet, one with a name does not", needsRoot, async () => {
  await using setup = new AgentSetup();
  const container = setup.addContainer();
  setup.answer();
  assert.equal(valueOf(await setup.cycle(), "kpod_unattributed_cgroups"), 1);
  assert.equal(setup.earlyPolls, 1);
  setup.answer(container.containerId);
  assert.equal(valueOf(await setup.cycle(), "kpod_unattributed_cgroups"), 0);
  assert.equal(setup.earlyPolls, 1);
});

const OWN_FAILURES = {
  "its own process": { processFamilies: () => fail("Cannot read /proc/self") },
  "its programs": {
    loadPrograms: () => Object.assign(new FakeKernel(), { maps: () => fail("Cannot ask") }) as LoadedPrograms,
  },
};
for (const [what, options] of Object.entries(OWN_FAILURES)) {
  Deno.test(`an agent that cannot tell about ${what} still serves the rest`, needsRoot, async () => {
    await using setup = new AgentSetup({ collectors: [gauge("one")], ...options });
    setup.answer(setup.addContainer().containerId);
    const snapshot = await setup.cycle();
    assert.deepEqual([valueOf(snapshot, "one"), valueOf(snapshot, "kpod_build_info")], [1, 1]);
    assert.match(setup.agent.readiness().reasons.join(), /^Cannot (?:read|ask)/);
  });
}
