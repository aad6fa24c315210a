import assert from "node:assert/strict";
import { NativeError } from "../../src/native/error.ts";
import { reasonOf } from "../../src/native/load_failure.ts";

const EPERM = 1, ENOENT = 2, ESRCH = 3, EACCES = 13, EINVAL = 22, LIBBPF_FORMAT = 4001;

/** The /proc/PID/status of a process with capabilities as linux/capability.h numbers them. */
function status(...effective: readonly bigint[]): string {
  const mask = effective.reduce((mask, bit) => mask | 1n << bit, 0n).toString(16).padStart(16, "0");
  return `Name:\tdeno\nCapPrm:\t000001ffffffffff\nCapEff:\t${mask}\nCapBnd:\t000001ffffffffff\n`;
}

const [SYS_ADMIN, PERFMON, BPF] = [21n, 38n, 39n] as const;
const FORBIDDEN =
  /^Cannot load mem\.bpf\.o: E(PERM|ACCES) .*; the capabilities are there, so a seccomp profile, /;

/** What it is said to take, where a process that has these is refused. */
const CAPABILITIES: readonly (readonly [has: readonly bigint[], reason: RegExp])[] = [
  [[], /; it takes CAP_BPF and CAP_PERFMON, which this process does not have$/],
  [[BPF], /; it takes CAP_PERFMON, which this process does not have$/],
  [[PERFMON], /; it takes CAP_BPF, which this process does not have$/],
  [[BPF, PERFMON], FORBIDDEN],
  [[SYS_ADMIN], FORBIDDEN],
];

/** What libbpf 1.1 writes. */
const FAILURES: readonly (readonly [title: string, error: unknown, reason: string | RegExp])[] = [
  [
    "no kernel BTF",
    load(ESRCH, "failed to find valid kernel BTF", "Error loading vmlinux BTF: -3"),
    "there is no /sys/kernel/btf/vmlinux: the kernel needs CONFIG_DEBUG_INFO_BTF",
  ],
  [
    "no such tracepoint",
    load(ESRCH, "prog 'mark_victim': failed to find kernel BTF type ID of 'mark_victim': -3"),
    "the kernel has no tracepoint or function mark_victim",
  ],
  [
    "an event that tracefs is not there to tell of",
    failure("attach sys_enter_perf of", ENOENT, [
      "failed to determine tracepoint 'raw_syscalls/sys_enter' perf event ID: No such file or directory",
      "prog 'sys_enter_perf': failed to create tracepoint 'raw_syscalls/sys_enter' perf event: No such file or directory",
    ]),
    "tracefs (/sys/kernel/tracing) does not tell of raw_syscalls/sys_enter: No such file or directory",
  ],
  [
    "a refusal of everything",
    load(
      EPERM,
      "Error in bpf_object__probe_loading():Operation not permitted(1). Couldn't load trivial BPF program.",
    ),
    FORBIDDEN,
  ],
  [
    "a refusal of a program",
    load(
      EPERM,
      "prog 'mark_victim': BPF program load failed: Operation not permitted",
      "permission error while running as root; try raising 'ulimit -l'? current value: 8.0 MiB",
    ),
    FORBIDDEN,
  ],
  ["a refusal without a word", load(EACCES), FORBIDDEN],
  [
    "the verifier's refusal, whose code is that of a missing permission",
    new NativeError(
      "load mem.bpf.o",
      EACCES,
      [
        "libbpf: prog 'mark_victim': BPF program load failed: Permission denied",
        "libbpf: prog 'mark_victim': -- BEGIN PROG LOAD LOG --",
        "1: (67) r7 <<= 32",
        "R7 pointer arithmetic with <<= operator prohibited",
        "processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0",
        "-- END PROG LOAD LOG --",
      ].join("\n"),
    ),
    "the kernel's verifier refuses it: R7 pointer arithmetic with <<= operator prohibited",
  ],
  [
    "a map type that the kernel does not know",
    load(EINVAL, "map 'oom_processes': failed to create: Invalid argument(-22)"),
    "the kernel cannot make map oom_processes: Invalid argument(-22)",
  ],
  [
    "a file that is no object",
    open(LIBBPF_FORMAT, "elf: 'mem.bpf.o' is not a proper ELF object"),
    'the file is not an eBPF object: run "deno task build"',
  ],
  [
    "a missing file",
    open(ENOENT, "elf: failed to open mem.bpf.o: No such file or directory"),
    "Cannot open mem.bpf.o: ENOENT (no such file or directory)",
  ],
  [
    "another error",
    new Error('Cannot use mem.bpf.o; run "deno task build"'),
    'Cannot use mem.bpf.o; run "deno task build"',
  ],
  ["no error at all", "something", "something"],
];

for (const [title, error, reason] of FAILURES) {
  Deno.test(`the reason for ${title} is one line that names the cause`, () => {
    const said = reasonOf(error, () => status(BPF, PERFMON));
    assert.ok(!said.includes("\n"));
    if (typeof reason === "string") assert.equal(said, reason);
    else assert.match(said, reason);
  });
}

for (const [has, reason] of CAPABILITIES) {
  Deno.test(`a refusal names what is missing beside the capabilities [${has}]`, () => {
    assert.match(reasonOf(load(EPERM), () => status(...has)), reason);
  });
}

function load(errno: number, ...lines: readonly string[]): NativeError {
  return failure("load", errno, [...lines, "failed to load object 'mem.bpf.o'"]);
}

function open(errno: number, ...lines: readonly string[]): NativeError {
  return failure("open", errno, lines);
}

function failure(action: string, errno: number, lines: readonly string[]): NativeError {
  return new NativeError(`${action} mem.bpf.o`, errno, lines.map((line) => `libbpf: ${line}`).join("\n"));
}
