/** What the preflight says of the cgroup hierarchy. */
import type { ContainerCgroup } from "../../src/cgroup/hierarchy.ts";
import { controllers, hierarchyMode, kubepodsRoot, pressure } from "../../src/doctor/cgroups.ts";
import { assertFinding, type Expected, hostFiles } from "./doctor_files.ts";

/** /proc/cgroups of a node with version 2 alone, and of one with both. */
const PURE =
  "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t0\t200\t1\nmemory\t0\t200\t1\nblkio\t0\t200\t1\n";
const HYBRID =
  "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t3\t1\t1\nblkio\t7\t1\t1\nhugetlb\t0\t65\t1\n";

Deno.test("a hierarchy stands alone or beside version 1, and either is ok", () => {
  for (
    const [files, found] of [
      [{ cgroups: PURE }, /^\/cg, with no version 1 beside it$/],
      // Kernels can be built without version 1 and then have no such file.
      [{}, /^\/cg, with no version 1 beside it$/],
      [{ cgroups: HYBRID }, /^\/cg, beside version 1, which has cpu, blkio$/],
    ] as const
  ) {
    using proc = hostFiles(files);
    assertFinding(hierarchyMode("/cg", proc.root), ["ok", found]);
  }
});

const ALL = ["cpu", "memory", "disk", "pids"];
const CONTROLLERS: readonly (readonly [
  what: string,
  present: string,
  collectors: readonly string[],
  cgroups: string,
  expected: Expected,
])[] = [
  ["all are there", "cpuset cpu io memory hugetlb pids rdma\n", ALL, PURE, [
    "ok",
    /^cpuset, cpu, .* at \S+\/kubepods$/,
  ]],
  ["none is there or needed", "\n", ["tcp", "pressure"], PURE, ["ok", /^none at /]],
  ["one is missing that no enabled collector needs", "cpu memory pids\n", ["cpu", "memory"], PURE, [
    "ok",
    /^cpu, memory/,
  ]],
  ["io is not delegated", "cpu memory pids\n", ALL, PURE, [
    "warn",
    /; lacks io$/,
    /subtree_control.*no series: all series of disk$/,
  ]],
  ["cpu and pids are not delegated", "io memory\n", ALL, PURE, [
    "warn",
    /; lacks cpu, pids$/,
    /kpod_cpu_throttled_seconds_total of cpu; all series of pids$/,
  ]],
  ["version 1 has io", "hugetlb\n", ["disk"], HYBRID, [
    "warn",
    /; lacks io$/,
    /systemd\.unified_cgroup_hierarchy=1/,
  ]],
];

for (const [what, present, collectors, cgroups, expected] of CONTROLLERS) {
  Deno.test(`controllers are ${expected[0]}: ${what}`, () => {
    using hierarchy = hostFiles({ "kubepods/cgroup.controllers": present });
    using proc = hostFiles({ cgroups });
    assertFinding(controllers(hierarchy.root, "kubepods", collectors, proc.root), expected);
  });
}

Deno.test("pressure is missed where a collector wants it, and told otherwise", () => {
  const files = { "cpu.pressure": "", "io.pressure": "", "memory.pressure": "" };
  using all = hostFiles(files);
  assertFinding(pressure(all.root, ".", ["pressure"]), ["ok", /^cpu, io and memory at \S+[^.]$/]);
  using some = hostFiles({ "k/cpu.pressure": "", "k/io.pressure": "" });
  const found = /^cannot read memory\.pressure \(ENOENT\) at \S+\/k/;
  assertFinding(pressure(some.root, "k", ["pressure"]), [
    "warn",
    found,
    /psi=1.*pressure collector will be absent/,
  ]);
  assertFinding(pressure(some.root, "k", ["tcp"]), ["ok", found]);
});

Deno.test("a kubepods root is told with its driver, and what is in it", () => {
  using hierarchy = hostFiles({});
  const container = (id: bigint, podUid: string) => ({ id, podUid, containerId: `${id}` }) as ContainerCgroup;
  const containers = [container(1n, "a"), container(2n, "a"), container(3n, "b")];
  for (const [path, driver] of [["kubepods.slice", "systemd"], ["kubelet/kubepods", "cgroupfs"]] as const) {
    const kubepods = { id: 7n, path };
    assertFinding(kubepodsRoot({ kubepods, containers }, hierarchy.root), [
      "ok",
      new RegExp(`/${path}, driver ${driver}: 2 pods, 3 containers`),
    ]);
  }
  assertFinding(kubepodsRoot({ kubepods: undefined, containers: [] }, hierarchy.root), [
    "fail",
    /^no kubepods cgroup in \//,
    /start the kubelet.*KPOD_CGROUP_ROOT/,
  ]);
});
