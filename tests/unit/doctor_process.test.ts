/** What the preflight says of the process itself. */
import { capabilities, openFiles, privileges } from "../../src/doctor/process.ts";
import { capabilitiesNeeded } from "../../src/native/privileges.ts";
import { assertFinding, type Expected, hostFiles } from "./doctor_files.ts";

const [SYS_PTRACE, SYS_ADMIN, SYS_RESOURCE, PERFMON, BPF] = [19n, 21n, 24n, 38n, 39n].map((bit) =>
  1n << bit
) as [
  bigint,
  bigint,
  bigint,
  bigint,
  bigint,
];

const EBPF = { programs: true, collectors: ["tcp"] };
const ALL = { programs: true, collectors: ["tcp", "filesystem", "disk"] };
const FILES_ONLY = { programs: false, collectors: ["disk"] };
const NEW = "6.1.0";
const OLD = "5.10.0";

const CAPABILITIES: readonly (readonly [
  what: string,
  effective: bigint,
  wanted: typeof ALL,
  kernel: string,
  expected: Expected,
])[] = [
  ["BPF and PERFMON for eBPF", BPF | PERFMON, EBPF, NEW, ["ok", /^BPF, PERFMON$/]],
  ["SYS_ADMIN in their stead", SYS_ADMIN, EBPF, NEW, ["ok", /^SYS_ADMIN$/]],
  ["all of them", BPF | PERFMON | SYS_PTRACE, ALL, NEW, ["ok", /^BPF, PERFMON, SYS_PTRACE$/]],
  ["none of them, for cgroup files", 0n, FILES_ONLY, NEW, ["ok", /^none, and none is needed$/]],
  ["none of them, for eBPF", 0n, EBPF, NEW, [
    "fail",
    /^none of those it uses; lacks BPF and PERFMON$/,
    /CAP_BPF, CAP_PERFMON.*KPOD_BPF_ENABLED/,
  ]],
  ["BPF alone", BPF, EBPF, NEW, ["fail", /^BPF; lacks PERFMON$/, /with CAP_PERFMON;/]],
  ["PERFMON alone", PERFMON, ALL, NEW, [
    "fail",
    /^PERFMON; lacks BPF and SYS_PTRACE$/,
    /CAP_BPF, CAP_SYS_PTRACE;/,
  ]],
  ["all but SYS_PTRACE", BPF | PERFMON, ALL, NEW, [
    "warn",
    /lacks SYS_PTRACE$/,
    /CAP_SYS_PTRACE.*filesystem has no series/,
  ]],
  ["memory limits of old kernels", BPF | PERFMON, EBPF, OLD, [
    "warn",
    /lacks SYS_RESOURCE$/,
    /CAP_SYS_RESOURCE/,
  ]],
  ["memory limits of old kernels lifted", BPF | PERFMON | SYS_RESOURCE, EBPF, OLD, ["ok", /^BPF, PERFMON$/]],
];

/** Files of a process with these effective capabilities. */
function processFiles(effective: bigint, kernel: string, locked = "65536") {
  return hostFiles({
    "self/status": `Name:\tdeno\nCapPrm:\t000001ffffffffff\nCapEff:\t${
      effective.toString(16).padStart(16, "0")
    }\n`,
    "self/limits": "Limit                     Soft Limit           Hard Limit           Units     \n" +
      `Max locked memory         ${locked.padEnd(20)} ${locked.padEnd(20)} bytes     \n` +
      "Max open files            1024                 524288               files     \n",
    "sys/kernel/osrelease": `${kernel}\n`,
  });
}

for (const [what, effective, wanted, kernel, expected] of CAPABILITIES) {
  Deno.test(`capabilities are ${expected[0]}: ${what}`, () => {
    using proc = processFiles(effective, kernel);
    assertFinding(capabilities(proc.root, wanted), expected);
  });
}

Deno.test("an old kernel without a limit of locked memory needs no more capabilities than a new one", () => {
  using proc = processFiles(BPF | PERFMON, OLD, "unlimited");
  assertFinding(capabilities(proc.root, EBPF), ["ok", /^BPF, PERFMON$/]);
});

Deno.test("the limit of open files is held against what that many containers take", () => {
  using proc = processFiles(0n, NEW);
  assertFinding(openFiles(proc.root, 68), ["ok", /^at most 1024 open files; 68 containers take up to 1016$/]);
  assertFinding(openFiles(proc.root, 69), ["warn", /take up to 1028$/, /to 2056 or more.*LimitNOFILE/]);
  using unlimited = hostFiles({
    "self/limits": "Max open files            unlimited            unlimited   files\n",
  });
  assertFinding(openFiles(unlimited.root, 100_000), ["ok", /^no limit of open files/]);
});

Deno.test("what would be kept after the start is told with the purpose, and is never a fault", () => {
  using proc = processFiles(BPF | PERFMON | SYS_PTRACE, NEW);
  const told = (wanted: typeof ALL, sufficeForMaps: boolean, isContainer = true) =>
    privileges(
      proc.root,
      wanted,
      isContainer,
      (status, work) => capabilitiesNeeded(status, work, () => sufficeForMaps),
    );
  assertFinding(told(EBPF, true), ["ok", /^capabilities kept after the start: none$/]);
  assertFinding(told(EBPF, false), ["ok", /: BPF to read eBPF maps, which Linux before 5\.19/]);
  assertFinding(told(ALL, true), ["ok", /: SYS_PTRACE to look into containers' roots$/]);
  assertFinding(told(FILES_ONLY, false), ["ok", /: none$/]);
  assertFinding(told(EBPF, true, false), ["ok", /: BPF, PERFMON to load eBPF programs again/]);
  assertFinding(told(FILES_ONLY, true, false), ["ok", /: none$/]);
});
