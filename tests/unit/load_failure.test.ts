import assert from "node:assert/strict";
import { NativeError } from "../../src/native/error.ts";
import { reasonOf } from "../../src/native/load_failure.ts";

const EPERM = 1, ENOENT = 2, ESRCH = 3, EACCES = 13, EINVAL = 22, LIBBPF_FORMAT = 4001;
const CAPABILITIES = /^Cannot load mem\.bpf\.o: E(PERM|ACCES) .*; it takes the capabilities BPF and PERFMON/;

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
    "the kernel has no tracepoint mark_victim",
  ],
  [
    "no CAP_BPF",
    load(
      EPERM,
      "Error in bpf_object__probe_loading():Operation not permitted(1). Couldn't load trivial BPF program.",
    ),
    CAPABILITIES,
  ],
  [
    "no CAP_PERFMON",
    load(
      EPERM,
      "prog 'mark_victim': BPF program load failed: Operation not permitted",
      "permission error while running as root; try raising 'ulimit -l'? current value: 8.0 MiB",
    ),
    CAPABILITIES,
  ],
  ["a refusal without a word", load(EACCES), CAPABILITIES],
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
    const said = reasonOf(error);
    assert.ok(!said.includes("\n"));
    if (typeof reason === "string") assert.equal(said, reason);
    else assert.match(said, reason);
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
