/**
 * Collectors over real cgroups against the same files read by the test. What a machine's cgroup v2 lacks, as a hybrid
 * one does memory, io and pids, is held to give no sample; over captured files the unit tests cover it.
 */
import assert from "node:assert/strict";
import { findCgroup2Mount } from "../lab/cgroups.ts";
import { LabNode } from "../lab/node.ts";
import type { LabContainer } from "../lab/pods.ts";
import { schedStat, settled } from "../lab/proc.ts";
import { CgroupReader, textOf, type Values } from "./cgroup_reader.ts";
import { needsLab } from "./requirements.ts";
import { until } from "./until.ts";

/** Where each number comes from: the file, what leads to it, and how many of its units make one of ours. */
const WITNESSES: readonly (readonly [name: string, file: string, line: RegExp, unit: number])[] = [
  ["cpu_usage_seconds_total", "cpu.stat", /^usage_usec (\d+)$/m, 1e6],
  ["cpu_user_seconds_total", "cpu.stat", /^user_usec (\d+)$/m, 1e6],
  ["cpu_system_seconds_total", "cpu.stat", /^system_usec (\d+)$/m, 1e6],
  ["cpu_periods_total", "cpu.stat", /^nr_periods (\d+)$/m, 1],
  ["cpu_throttled_periods_total", "cpu.stat", /^nr_throttled (\d+)$/m, 1],
  ["cpu_throttled_seconds_total", "cpu.stat", /^throttled_usec (\d+)$/m, 1e6],
  ...["cpu", "memory", "io"].flatMap((resource) =>
    ([["waiting", /^some .*total=(\d+)$/m], ["stalled", /^full .*total=(\d+)$/m]] as const).map((
      [what, line],
    ) => [`pressure_${resource}_${what}_seconds_total`, `${resource}.pressure`, line, 1e6] as const)
  ),
  ["mem_usage_bytes", "memory.current", /^(\d+)$/m, 1],
  ["mem_rss_bytes", "memory.stat", /^anon (\d+)$/m, 1],
  ["mem_cache_bytes", "memory.stat", /^file (\d+)$/m, 1],
  ["mem_swap_bytes", "memory.swap.current", /^(\d+)$/m, 1],
  ["mem_limit_bytes", "memory.max", /^(\d+)$/m, 1],
  ["pids_current", "pids.current", /^(\d+)$/m, 1],
];

/** What the test reads of a container's files; what is not there is left out. */
function witnessed({ cgroup }: LabContainer): Values {
  return Object.fromEntries(WITNESSES.flatMap(([name, file, line, unit]) => {
    const text = line.exec(textOf(`${cgroup}/${file}`))?.[1];
    return text === undefined ? [] : [[name, Number(text) / unit]];
  }));
}

function without(values: Values, ...names: string[]): Values {
  return Object.fromEntries(Object.entries(values).filter(([name]) => !names.includes(name)));
}

Deno.test(
  "every number of a busy container is between what its files say before and after",
  needsLab,
  async () => {
    await using node = await LabNode.start();
    const container = (await node.addPod({ name: "busy", containers: ["busy"] })).container();
    using reader = new CgroupReader(node);
    await using one = await node.run(container, ["spin"], { pin: true });
    await using other = await node.run(container, ["spin"], { pin: true });
    const began = witnessed(container);
    const load = Promise.all([one.go(400), other.go(400)]);
    for (let round = 0; round < 20; round++) {
      const before = witnessed(container);
      const values = await reader.read(container);
      const after = witnessed(container);
      // Of gauges nothing says which way they go meanwhile.
      const [counters, low, high] = [values, before, after].map((each) =>
        Object.entries(each).filter(([name]) => name.endsWith("_total")).sort()
      );
      assert.deepEqual(counters?.map(([name]) => name), low?.map(([name]) => name));
      counters?.forEach(([name, value], index) => {
        const [lowest, highest] = [low?.[index]?.[1] ?? NaN, high?.[index]?.[1] ?? NaN];
        assert.ok(lowest <= value && value <= highest, `${name}: ${lowest} <= ${value} <= ${highest}`);
      });
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await load;
    const ended = witnessed(container);
    for (const name of ["cpu_usage_seconds_total", "pressure_cpu_waiting_seconds_total"]) {
      if (name in began) assert.ok((ended[name] ?? 0) > (began[name] ?? 0), `${name} did not grow`);
    }
  },
);

Deno.test("every number of a container at rest is what its files say, and no other", needsLab, async () => {
  await using node = await LabNode.start();
  const limit = { name: "rest", memoryLimitBytes: 64 * 2 ** 20 };
  const container = (await node.addPod({ name: "rest", containers: [limit] })).container();
  using reader = new CgroupReader(node);
  await using workload = await node.run(container, ["spin"]);
  await workload.go(50);
  await settled(workload.pid);
  let values: Values = {};
  let before: Values = {};
  let after: Values = {};
  const read = async () => {
    before = witnessed(container);
    values = await reader.read(container);
    after = witnessed(container);
  };
  await read();
  for (let round = 0; JSON.stringify(before) !== JSON.stringify(after) && round < 100; round++) await read();
  assert.deepEqual(before, after, "the files do not come to rest");
  // The working set has no file of its own.
  assert.deepEqual(without(values, "mem_working_set_bytes"), before);
  assert.ok((values.cpu_usage_seconds_total ?? 0) >= 0.05);
  if ("mem_limit_bytes" in before) assert.equal(values.mem_limit_bytes, limit.memoryLimitBytes);
});

Deno.test("CPU time is what the scheduler says the container's threads had", needsLab, async () => {
  await using node = await LabNode.start();
  const container = (await node.addPod({ name: "cpu", containers: ["cpu"] })).container();
  using reader = new CgroupReader(node);
  await using workload = await node.run(container, ["spin", "--threads", "3"]);
  const look = async () => {
    await settled(workload.pid);
    const { onCpuNs } = schedStat(workload.pid);
    const values = await reader.read(container);
    const [user = NaN, system = NaN] = [values.cpu_user_seconds_total, values.cpu_system_seconds_total];
    return { seconds: onCpuNs / 1e9, usage: values.cpu_usage_seconds_total ?? NaN, parts: user + system };
  };
  const before = await look();
  await workload.go(100);
  const after = await look();
  const had = after.seconds - before.seconds;
  assert.ok(had >= 0.3, `${had} s`);
  const off = Math.abs(after.usage - before.usage - had);
  assert.ok(off <= 10e-6, `usage is off by ${off} s; the file has whole microseconds`);
  assert.ok(Math.abs(after.parts - after.usage) <= 3e-6, "user and system time add up to all of it");
});

Deno.test(
  "a cgroup that vanishes between listing and reading keeps its counters, and the next goes on",
  needsLab,
  async () => {
    await using node = await LabNode.start();
    const pod = await node.addPod({ name: "restart", containers: ["main"] });
    const container = pod.container();
    using reader = new CgroupReader(node);
    {
      await using workload = await node.run(container, ["spin"]);
      await workload.go(50);
    }
    const before = await reader.read(container);
    const old = container.cgroup ?? "";
    const vanished = await reader.read(container, () => node.stopContainer(container));
    const counters = Object.entries(before).filter(([name]) => name.endsWith("_total"));
    assert.ok(counters.length > 0);
    assert.deepEqual(vanished, Object.fromEntries(counters), "counters stay, gauges do not");
    node.startContainer(container);
    await using workload = await node.run(container, ["spin"]);
    await workload.go(20);
    const after = await reader.read(container);
    for (const [name, value] of counters) assert.ok((after[name] ?? NaN) >= value, name);
    assert.ok((after.cpu_usage_seconds_total ?? 0) >= (before.cpu_usage_seconds_total ?? NaN) + 0.02);
    assert.deepEqual(descriptorsOf(old), []);
    assert.notDeepEqual(descriptorsOf(container.cgroup ?? ""), []);
  },
);

/** Files of a cgroup that this process holds open, whether it still exists or not. */
function descriptorsOf(cgroup: string): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      const path = Deno.readLinkSync(`/proc/self/fd/${name}`);
      return path.includes(cgroup.slice(cgroup.lastIndexOf("/") + 1)) ? [path] : [];
    } catch {
      return [];
    }
  });
}

/** From Linux 6.1 a cgroup's pressure files can be hidden. */
const needsPressureSwitch = {
  ignore: needsLab.ignore || textOf(`${findCgroup2Mount()}/cgroup.pressure`) === "",
};

Deno.test(
  "pressure files that are hidden keep the last counters, and never seen give none",
  needsPressureSwitch,
  async () => {
    await using node = await LabNode.start();
    const pod = await node.addPod({ name: "pressure", containers: ["main"] });
    const container = pod.container();
    using reader = new CgroupReader(node);
    const pressureOf = (values: Values) =>
      Object.fromEntries(Object.entries(values).filter(([name]) => name.startsWith("pressure_")));
    const hide = () => Deno.writeTextFileSync(`${container.cgroup}/cgroup.pressure`, "0");
    const shown = pressureOf(await reader.read(container));
    assert.equal(Object.keys(shown).length, 6);
    hide();
    await until("the files are hidden", () => textOf(`${container.cgroup}/cpu.pressure`) === "");
    assert.deepEqual(pressureOf(await reader.read(container)), shown);
    {
      using fresh = new CgroupReader(node);
      assert.deepEqual(pressureOf(await fresh.read(container)), {});
      assert.ok("cpu_usage_seconds_total" in await fresh.read(container));
    }
  },
);
