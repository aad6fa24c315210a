/** Families of the collectors of kernel maps, and that their tables name what there is. */
import assert from "node:assert/strict";
import { kernelCollector } from "../../src/collectors/kernel_collector.ts";
import {
  counterFamily,
  histogramFamily,
  type Row,
  rowPerTarget,
} from "../../src/collectors/kernel_families.ts";
import { createLogger } from "../../src/log.ts";
import { createCollectors } from "../../src/collectors/list.ts";
import { CPU_SCHED } from "../../src/collectors/cpu_sched.ts";
import { OOM } from "../../src/collectors/oom.ts";
import { PAGE_FAULTS } from "../../src/collectors/page_faults.ts";
import { SYSCALL } from "../../src/collectors/syscall.ts";
import { TCP } from "../../src/collectors/tcp.ts";
import { histogramBounds, SLOTS } from "../../src/metrics/histogram.ts";
import { LAYOUTS } from "../../src/native/layouts.gen.ts";
import { type SignalName, SIGNALS } from "../../src/native/signals.ts";
import { FakeKernel } from "./fake_kernel.ts";
import { cgroup, NodeStory, pod } from "./node_story.ts";

const CALLS = new Map([["0", "read"], ["202", "futex"]]);
const ALL = [CPU_SCHED, TCP, OOM, PAGE_FAULTS, SYSCALL];
const TARGET = { podUid: "web", labels: { namespace: "default", pod: "web", container: "main", node: "n" } };

for (const description of ALL) {
  Deno.test(`collector ${description.name}: its tables name counters, maps and signals that there are`, () => {
    const { map, signals, counters, histograms } = description;
    const { members } = LAYOUTS[map as keyof typeof LAYOUTS].value as {
      members: readonly (readonly unknown[])[];
    };
    const types = new Map(members.map(([name, type]) => [name, type]));
    for (const { name, signal, series } of counters) {
      assert.match(name, /^kpod_[a-z_]+_total$/);
      assert.ok(signals.includes(signal), name);
      for (const { counter } of series) assert.equal(types.get(counter), "u64", `${name}: ${counter}`);
    }
    for (const { name, signal, prefix } of histograms) {
      assert.match(name, /^kpod_[a-z_]+_seconds$/);
      assert.ok(signals.includes(signal), name);
      assert.equal(types.get(`${prefix}_ns`), "u64", name);
      assert.equal(types.get(`${prefix}_slots`), `u64[${SLOTS}]`, name);
    }
    const writers = SIGNALS.filter(({ maps }) => (maps as readonly string[]).includes(map));
    assert.deepEqual(signals.toSorted(), writers.map(({ name }) => name).toSorted());
    const served = [...counters, ...histograms].map(({ signal }) => signal);
    assert.deepEqual([...new Set(served)].toSorted(), signals.toSorted(), "each signal is served");
  });
}

Deno.test("every family has a name of its own and a line of help", () => {
  const families = ALL.flatMap(({ counters, histograms }) => [...counters, ...histograms]);
  assert.equal(new Set(families.map(({ name }) => name)).size, families.length);
  for (const { name, help } of families) assert.match(help, /^[A-Z].*\.$/, name);
});

Deno.test("a target that has counted nothing has counters and histograms of zero", () => {
  const rows = rowPerTarget(new Map([[TARGET, new Map()]]));
  const [counter] = TCP.counters;
  const [histogram] = TCP.histograms;
  assert.ok(counter && histogram);
  assert.deepEqual(counterFamily(counter, rows).samples, [{ labels: TARGET.labels, value: 0 }]);
  const [sample] = histogramFamily(histogram, rows, "coarse").samples;
  assert.deepEqual(sample?.buckets, histogramBounds("coarse").map(() => 0));
  assert.equal(sample?.sum, 0);
});

Deno.test("nanoseconds are served as seconds, slots as cumulative buckets", () => {
  const slots = new Array(SLOTS).fill(0);
  slots[3] = 2;
  slots[SLOTS - 1] = 1;
  const rows: Row[] = [{ labels: TARGET.labels, counters: { x_ns: 40_500_000_000, x_slots: slots } }];
  const family = histogramFamily(
    { name: "x", help: "", signal: "tcp_rtt", prefix: "x" },
    rows,
    "fine",
  );
  assert.deepEqual(family.bounds, histogramBounds("fine"));
  const [sample] = family.samples;
  assert.equal(sample?.sum, 40.5);
  assert.deepEqual([2, 3, 25, 26].map((bucket) => sample?.buckets[bucket]), [0, 2, 2, 3]);
});

Deno.test("series of one target share their labels, which the registry then writes once", () => {
  const rows = rowPerTarget(new Map([[TARGET, new Map([["", { bytes_sent: 1 }]])]]));
  const families = TCP.counters.map((counter) => counterFamily(counter, rows));
  assert.equal(families[0]?.samples[0]?.labels, TARGET.labels);
  assert.equal(families[1]?.samples[0]?.labels, TARGET.labels);
  const directions = families.flatMap(({ samples }) => samples).map(({ labels }) => labels.direction);
  assert.deepEqual(directions.filter((direction) => direction !== undefined), ["active", "passive"]);
  assert.equal("direction" in TARGET.labels, false);
});

/** A pod with one container that has counted this in a map. */
function cycleWith(kernel: FakeKernel) {
  const story = new NodeStory().answer([pod("web", "web", { main: ["c1"] })]);
  const each = cgroup("web", "c1");
  story.live = [each];
  story.cycle();
  return { id: each.id, cycle: { targets: story.index, programs: kernel } };
}

Deno.test("each tracked call has series of its own, from its first use on, in the order of their numbers", () => {
  const kernel = new FakeKernel();
  const { id, cycle } = cycleWith(kernel);
  const collector = kernelCollector(SYSCALL, "coarse", (number) => CALLS.get(number) ?? number);
  for (const { samples } of collector.collect(cycle)) assert.deepEqual(samples, []);
  for (const [number, count] of [[202, 5], [0, 2], [999, 1]] as const) {
    kernel.put("syscall", { cgroup_id: id, number }, {
      count,
      errors: 1,
      latency_ns: 1e9,
      latency_slots: new Array(SLOTS).fill(1),
    });
  }
  const [counts, errors, latency] = collector.collect(cycle);
  assert.deepEqual(
    counts?.samples.map((sample) => [sample.labels.syscall, "value" in sample && sample.value]),
    [["read", 2], ["futex", 5], ["999", 1]],
  );
  assert.deepEqual(errors?.samples.map((sample) => "value" in sample && sample.value), [1, 1, 1]);
  assert.deepEqual(latency?.samples.map((sample) => "buckets" in sample && sample.buckets.at(-1)), [
    27,
    27,
    27,
  ]);
});

Deno.test("what the kernel cannot deliver is absent, not zero", () => {
  const kernel = new FakeKernel();
  const { cycle } = cycleWith(kernel);
  const without = (...missing: SignalName[]) => {
    kernel.delivers = (signal) => !missing.includes(signal);
    return kernelCollector(TCP, "coarse").collect(cycle).map(({ name }) => name);
  };
  const all = without();
  assert.equal(all.length, TCP.counters.length + TCP.histograms.length);
  assert.deepEqual(
    all.filter((name) => !without("tcp_rtt", "tcp_connections").includes(name)),
    ["kpod_net_tcp_connections_total", "kpod_net_tcp_connect_failures_total", "kpod_net_tcp_rtt_seconds"],
  );
  assert.deepEqual(without(...TCP.signals), []);
});

Deno.test("without programs a collector of the kernel has no families", () => {
  const { cycle } = cycleWith(new FakeKernel());
  assert.deepEqual(kernelCollector(TCP, "coarse").collect({ ...cycle, programs: undefined }), []);
});

Deno.test("only the collectors wanted are made, and only their signals asked for", () => {
  const options = {
    histogramResolution: "coarse",
    syscalls: [{ name: "read", number: 0 }],
    procRoot: "/proc",
    sysRoot: "/sys",
    log: createLogger("error", "text"),
  } as const;
  for (
    const [names, signals] of [
      [[], []],
      [["oom"], ["oom"]],
      [["cpu_sched", "page_faults"], ["cpu_sched", "page_faults"]],
      [ALL.map(({ name }) => name), SIGNALS.map(({ name }) => name)],
    ] as const
  ) {
    const made = createCollectors({ ...options, collectors: names });
    assert.deepEqual(made.collectors.map(({ name }) => name), names);
    assert.deepEqual(made.signals.toSorted(), [...signals].toSorted());
  }
});
