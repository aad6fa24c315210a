/** What the preflight says of the containers' processes. */
import type { ContainerCgroup } from "../../src/cgroup/hierarchy.ts";
import { hostProcesses } from "../../src/doctor/host_processes.ts";
import { assertFinding, type Expected, hostFiles } from "./doctor_files.ts";

const CONTAINERS: readonly ContainerCgroup[] = ["a", "b", "gone"].map((path, index) => (
  { id: BigInt(index + 1), podUid: "pod", containerId: path, path }
));

const CASES: readonly (readonly [
  what: string,
  /** Whether containers have processes, by path. */
  populated: Readonly<Record<string, 0 | 1>>,
  cgroups: Readonly<Record<number, string>>,
  collectors: readonly string[],
  expected: Expected,
])[] = [
  ["not needed", { a: 1 }, {}, ["disk"], ["ok", /no enabled collector needs them$/]],
  ["none there", { a: 0 }, {}, ["interface"], ["ok", /^no container has a process now$/]],
  ["seen", { a: 1, b: 1 }, { 1: "/", 7: "/pods/b" }, ["interface"], [
    "ok",
    /^seen in \S+: process 7 is a container's$/,
  ]],
  ["seen below the container's cgroup", { a: 1 }, { 7: "/../a/init" }, ["filesystem"], [
    "ok",
    /process 7 is/,
  ]],
  ["of another PID namespace", { a: 1, b: 1 }, { 1: "/", 7: "/other/aa" }, ["interface", "filesystem"], [
    "warn",
    /shows no process of any container$/,
    /host's \/proc.*KPOD_PROC_ROOT.*interface and filesystem will have no series$/,
  ]],
];

for (const [what, populated, cgroups, collectors, expected] of CASES) {
  Deno.test(`processes of containers are ${expected[0]}: ${what}`, () => {
    const events = Object.entries(populated).map((
      [path, is],
    ) => [`${path}/cgroup.events`, `populated ${is}\n`]);
    using hierarchy = hostFiles(Object.fromEntries(events));
    const files = Object.entries(cgroups).map(([pid, path]) => [`${pid}/cgroup`, `0::${path}\n`]);
    using proc = hostFiles(Object.fromEntries(files));
    assertFinding(hostProcesses(hierarchy.root, CONTAINERS, proc.root, collectors), expected);
  });
}
