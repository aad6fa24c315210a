/** Collectors over cgroup files: what they make of files that are whole, absent, broken, or of cgroups that come and go. */
import assert from "node:assert/strict";
import type { ContainerCgroup } from "../../src/cgroup/hierarchy.ts";
import { cgroupCollector, type CgroupCollectorDescription } from "../../src/collectors/cgroup_collector.ts";
import { CPU } from "../../src/collectors/cpu.ts";
import { DISK } from "../../src/collectors/disk.ts";
import { MEMORY } from "../../src/collectors/memory.ts";
import { PIDS } from "../../src/collectors/pids.ts";
import { PRESSURE } from "../../src/collectors/pressure.ts";
import { kernelFile, LIMITED, WRITER } from "./kernel_files.ts";
import { cgroup, GRACE_MS, NodeStory, pod } from "./node_story.ts";

const ALL = [CPU, MEMORY, PRESSURE, PIDS, DISK];

/** A pod `web` whose container `main` has had the instances `c1` and `c2`, and a collector over the files of these. */
function setUp(description: CgroupCollectorDescription) {
  const [one, two] = [cgroup("web", "c1"), cgroup("web", "c2")];
  const story = new NodeStory().answer([pod("web", "web", { main: ["c2", "c1"] })]);
  story.live = [one];
  const files = new Map<bigint, Readonly<Record<string, string>>>();
  const collector = cgroupCollector(description);
  /** Runs a cycle; returns the samples as `family{labels of its own} value`, the names shortened. */
  const cycle = () => {
    story.cycle();
    const families = collector.collect({
      targets: story.index,
      files: { text: (id, name) => files.get(id)?.[name] },
    });
    return families.flatMap((family) => {
      assert.equal(
        new Set(family.samples.map(({ labels }) => JSON.stringify(labels))).size,
        family.samples.length,
      );
      return family.samples.map(({ labels, value }) => {
        const { namespace, pod, container, node, ...own } = labels;
        assert.deepEqual([namespace, pod, container, node], ["default", "web", "main", "node1"]);
        const short = family.name.replace(/^kpod_(?:cpu|mem|pressure|disk)_/, "").replace(/_total$/, "");
        return [short, ...Object.values(own), value].join(" ");
      });
    });
  };
  return {
    story,
    one,
    two,
    cycle,
    write: ({ id }: ContainerCgroup, texts: Readonly<Record<string, string>>) => files.set(id, texts),
    vanish: ({ id }: ContainerCgroup) => files.delete(id),
  };
}

/** All files of a captured cgroup that a collector reads. */
function captured(directory: string, { files }: CgroupCollectorDescription): Record<string, string> {
  return Object.fromEntries(files.map((name) => [name, kernelFile(directory, name)]));
}

const WHOLE:
  readonly (readonly [CgroupCollectorDescription, directory: string, samples: readonly string[]])[] = [
    [CPU, LIMITED, [
      "usage_seconds 3.208241",
      "user_seconds 0.278801",
      "system_seconds 2.929439",
      "throttled_seconds 9.414578",
      "throttled_periods 201",
      "periods 609",
    ]],
    [MEMORY, LIMITED, [
      "usage_bytes 21610496",
      "working_set_bytes 21602304",
      "rss_bytes 21221376",
      "cache_bytes 8192",
      "swap_bytes 0",
      "limit_bytes 67108864",
    ]],
    [MEMORY, WRITER, [
      "usage_bytes 1474560",
      "working_set_bytes 413696",
      "rss_bytes 118784",
      "cache_bytes 1060864",
      "swap_bytes 0",
    ]],
    [PRESSURE, LIMITED, [
      "cpu_waiting_seconds 10.410557",
      "cpu_stalled_seconds 10.162046",
      "memory_waiting_seconds 0",
      "memory_stalled_seconds 0",
      "io_waiting_seconds 0",
      "io_stalled_seconds 0",
    ]],
    [PIDS, LIMITED, ["kpod_pids_current 3"]],
    [DISK, WRITER, [
      "read_bytes 254:0 4096",
      "written_bytes 254:0 101711872",
      "reads 254:0 1",
      "writes 254:0 111",
    ]],
    [DISK, LIMITED, []],
  ];

for (const [description, directory, samples] of WHOLE) {
  const which = directory === LIMITED ? "a container at its limits" : "a container that writes";
  Deno.test(`${description.name}: every number of ${which} on a real node goes where it belongs`, () => {
    const { one, write, cycle } = setUp(description);
    write(one, captured(directory, description));
    assert.deepEqual(cycle(), samples);
  });
}

/** What a cgroup says that lacks a file, a key, or a whole controller, and what is left of it. */
const PARTIAL: readonly (readonly [
  what: string,
  CgroupCollectorDescription,
  files: Readonly<Record<string, string>>,
  samples: readonly string[],
])[] = [
  ...ALL.map((each) => [`${each.name}: no files at all give no samples`, each, {}, []] as const),
  ...ALL.map((each) =>
    [
      `${each.name}: files of nonsense give no samples`,
      each,
      Object.fromEntries(each.files.map((name) => [name, "\0 -1\nusage_usec x\nsome total\n8:0 rbytes=\n"])),
      [],
    ] as const
  ),
  ...ALL.map((each) =>
    [
      `${each.name}: empty files give no samples`,
      each,
      Object.fromEntries(each.files.map((name) => [name, ""])),
      [],
    ] as const
  ),
  ["without the CPU controller there is no throttling, not zero", CPU, {
    "cpu.stat": "usage_usec 3000000\nuser_usec 1000000\nsystem_usec 2000000\n",
  }, ["usage_seconds 3", "user_seconds 1", "system_seconds 2"]],
  ["without inactive_file there is no working set", MEMORY, {
    "memory.current": "100\n",
    "memory.stat": "anon 60\n",
  }, ["usage_bytes 100", "rss_bytes 60"]],
  ["without memory.current there is no working set", MEMORY, {
    "memory.stat": "inactive_file 60\n",
  }, []],
  ["a working set is never negative", MEMORY, {
    "memory.current": "100\n",
    "memory.stat": "inactive_file 101\n",
  }, ["usage_bytes 100", "working_set_bytes 0"]],
  ["no limit is no sample, and no swap accounting none either", MEMORY, {
    "memory.max": "max\n",
  }, []],
  ["before Linux 5.13 the CPU has no `full` line", PRESSURE, {
    "cpu.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n",
  }, ["cpu_waiting_seconds 1.5"]],
  ["a device without I/O gives no samples, another one does", DISK, {
    "io.stat": "11:0\n8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
  }, ["read_bytes 8:16 1", "written_bytes 8:16 2", "reads 8:16 3", "writes 8:16 4"]],
];

for (const [what, description, files, samples] of PARTIAL) {
  Deno.test(what, () => {
    const { one, write, cycle } = setUp(description);
    write(one, files);
    assert.deepEqual(cycle(), samples);
  });
}

/** A cpu.stat of a kernel without throttling, so that a test shows one number. */
const usage = (seconds: number) => ({ "cpu.stat": `usage_usec ${seconds * 1e6}\n` });

Deno.test("a container that restarts goes on from the total of its earlier cgroup", () => {
  const { story, one, two, write, cycle } = setUp(CPU);
  write(one, usage(10));
  assert.deepEqual(cycle(), ["usage_seconds 10"]);
  story.live = [];
  assert.deepEqual(cycle(), ["usage_seconds 10"], "while it has no cgroup");
  story.live = [two];
  write(two, usage(1));
  assert.deepEqual(cycle(), ["usage_seconds 11"]);
  write(two, usage(2));
  assert.deepEqual(cycle(), ["usage_seconds 12"]);
});

Deno.test("while its next cgroup exists beside the earlier one, both count once", () => {
  const { story, one, two, write, cycle } = setUp(CPU);
  write(one, usage(10));
  cycle();
  story.live = [one, two];
  write(two, usage(1));
  write(one, usage(11));
  assert.deepEqual(cycle(), ["usage_seconds 12"]);
  story.live = [two];
  assert.deepEqual(cycle(), ["usage_seconds 12"]);
});

Deno.test("a cgroup that vanishes between listing and reading keeps its last counters", () => {
  const { story, one, two, write, vanish, cycle } = setUp(CPU);
  write(one, usage(10));
  cycle();
  vanish(one);
  assert.deepEqual(cycle(), ["usage_seconds 10"]);
  story.live = [two];
  write(two, usage(1));
  assert.deepEqual(cycle(), ["usage_seconds 11"]);
});

Deno.test("a counter that is missing for a cycle keeps its last value", () => {
  const { one, write, cycle } = setUp(CPU);
  write(one, { "cpu.stat": "usage_usec 1000000\nnr_periods 5\n" });
  assert.deepEqual(cycle(), ["usage_seconds 1", "periods 5"]);
  write(one, usage(2));
  assert.deepEqual(cycle(), ["usage_seconds 2", "periods 5"]);
});

Deno.test("gauges are of cgroups that exist and can be read, added up while there are two", () => {
  const { story, one, two, write, vanish, cycle } = setUp(PIDS);
  write(one, { "pids.current": "3\n" });
  assert.deepEqual(cycle(), ["kpod_pids_current 3"]);
  story.live = [one, two];
  write(two, { "pids.current": "4\n" });
  assert.deepEqual(cycle(), ["kpod_pids_current 7"]);
  vanish(one);
  assert.deepEqual(cycle(), ["kpod_pids_current 4"]);
  story.live = [];
  assert.deepEqual(cycle(), []);
});

Deno.test("a cgroup counts from when its name is known, with all that it had counted", () => {
  const { story, one, write, cycle } = setUp(CPU);
  story.answer([]);
  write(one, usage(10));
  assert.deepEqual(cycle(), []);
  story.answer([pod("web", "web", { main: ["c1"] })]);
  assert.deepEqual(cycle(), ["usage_seconds 10"]);
});

Deno.test("a sandbox gives no samples", () => {
  const { story, write, cycle } = setUp(CPU);
  const sandbox = cgroup("web", "sandbox");
  story.live = [sandbox];
  write(sandbox, usage(10));
  assert.deepEqual(cycle(), []);
});

Deno.test("a pod's totals are forgotten when its grace is over", () => {
  const { story, one, write, cycle } = setUp(CPU);
  write(one, usage(10));
  cycle();
  story.answer([]).live = [];
  assert.deepEqual(cycle(), ["usage_seconds 10"]);
  story.now += GRACE_MS;
  assert.deepEqual(cycle(), []);
  story.answer([pod("web", "web", { main: ["c1"] })]).live = [one];
  write(one, usage(1));
  assert.deepEqual(cycle(), ["usage_seconds 1"]);
});
