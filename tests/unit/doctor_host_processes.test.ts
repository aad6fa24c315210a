/** What the preflight says of the containers' processes. */
import type { ContainerCgroup } from "../../src/cgroup/hierarchy.ts";
import { hostProcesses } from "../../src/doctor/host_processes.ts";
import { assertFinding, type Expected, hostFiles } from "./doctor_files.ts";

const CONTAINERS: readonly ContainerCgroup[] = ["a", "b", "gone"].map((path, index) => (
  { id: BigInt(index + 1), podUid: "pod", containerId: path, path }
));

const CASES: readonly (readonly [
  what: string,
  cgroups: Readonly<Record<string, string>>,
  processes: readonly string[],
  collectors: readonly string[],
  expected: Expected,
])[] = [
  ["not needed", { a: "0\n" }, [], ["disk"], ["ok", /no enabled collector needs them$/]],
  ["none there", { a: "" }, [], ["interface"], ["ok", /^no container has a process now$/]],
  ["seen", { a: "7\n8\n", b: "9\n" }, ["7"], ["interface"], [
    "ok",
    /^seen in \S+: process 7 is a container's$/,
  ]],
  ["seen, though one has ended", { a: "7\n", b: "9\n" }, ["9"], ["filesystem"], ["ok", /process 9 is/]],
  ["of another PID namespace", { a: "0\n0\n", b: "0\n" }, ["7"], ["interface", "filesystem"], [
    "warn",
    /hidden from this PID namespace$/,
    /hostPID: true.*interface and filesystem will have no series$/,
  ]],
  ["in another proc", { a: "7\n", b: "9\n" }, ["1"], ["interface"], [
    "warn",
    /has no process 7, which is a container's$/,
    /KPOD_PROC_ROOT.*interface will have no series$/,
  ]],
];

for (const [what, cgroups, processes, collectors, expected] of CASES) {
  Deno.test(`processes of containers are ${expected[0]}: ${what}`, () => {
    const files = Object.entries(cgroups).map(([path, text]) => [`${path}/cgroup.procs`, text]);
    using hierarchy = hostFiles(Object.fromEntries(files));
    using proc = hostFiles(Object.fromEntries(processes.map((pid) => [`${pid}/net/dev`, "Inter-|"])));
    assertFinding(hostProcesses(hierarchy.root, CONTAINERS, proc.root, collectors), expected);
  });
}
