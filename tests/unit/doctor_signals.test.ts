/** What the preflight says of the eBPF programs and maps. */
import assert from "node:assert/strict";
import { mapCapacity, signals } from "../../src/doctor/signals.ts";
import type { ProgramState } from "../../src/native/programs.ts";
import { assertFinding } from "./doctor_files.ts";

const attached = (signal: ProgramState["signal"], program: string): ProgramState => (
  { signal, program, hook: "tp_btf", state: "attached", reason: "", mayMiss: "" }
);
const unavailable = (signal: ProgramState["signal"], program: string, reason: string): ProgramState => (
  { ...attached(signal, program), state: "unavailable", reason }
);

Deno.test("a signal is one line, whatever number of programs delivers it", () => {
  const findings = signals([
    attached("syscall", "sys_enter"),
    attached("syscall", "sys_exit"),
    attached("oom", "mark_victim"),
  ]);
  assert.deepEqual(findings.map(({ check }) => check), ["signal syscall", "signal oom"]);
  assertFinding(findings[0], ["ok", /^sys_enter, sys_exit \(tp_btf\) attached$/]);
});

Deno.test("a signal that is not available is a warning, and none at all a failure", () => {
  const lost = unavailable(
    "tcp_bytes_sent",
    "sock_send_length",
    "the kernel has no tracepoint sock_send_length",
  );
  const found = /^sock_send_length \(tp_btf\) unavailable: the kernel has no tracepoint/;
  const [, some] = signals([attached("oom", "mark_victim"), lost]);
  assertFinding(some, ["warn", found, /later kernel/]);
  const [alone] = signals([lost]);
  assertFinding(alone, ["fail", found, /later kernel/]);
});

const SKIPPING: readonly (readonly [why: string, advice: RegExp])[] = [
  [
    "tracefs (/sys/kernel/tracing) does not tell of raw_syscalls/sys_enter: No such file or directory",
    /^mount tracefs .*manifests\/tracefs/,
  ],
  [
    "Cannot attach sys_enter_perf of /x/syscall.bpf.o: EACCES (permission denied); the capabilities are there",
    /^allow perf_event_open: by kernel\.perf_event_paranoid/,
  ],
];

for (const [why, advice] of SKIPPING) {
  Deno.test(`a signal of which events may be skipped is a warning: ${why.slice(0, 30)}`, () => {
    const [finding, other] = signals([
      { ...attached("syscall", "sys_enter"), mayMiss: why },
      attached("oom", "mark_victim"),
    ]);
    assertFinding(finding, [
      "warn",
      /^sys_enter \(tp_btf\) attached, but misses what the kernel skips while it preempts them: /,
      advice,
    ]);
    assert.ok(finding?.found.endsWith(why));
    assertFinding(other, ["ok", /attached$/]);
  });
}

Deno.test("one program of two that does not attach takes its signal with it", () => {
  const [finding] = signals([
    attached("syscall", "sys_enter"),
    unavailable("syscall", "sys_exit", "Cannot attach sys_exit: EBUSY"),
  ]);
  assertFinding(finding, [
    "warn",
    /^sys_enter, sys_exit \(tp_btf\) unavailable: Cannot attach sys_exit/,
    /others served/,
  ]);
});

const REASONS: readonly (readonly [reason: string, advice: RegExp])[] = [
  [
    "Cannot load x.bpf.o: EPERM (…); it takes CAP_BPF, which this process does not have",
    /CAP_BPF and CAP_PERFMON/,
  ],
  ["Cannot load x.bpf.o: EPERM (…); the capabilities are there, so a seccomp profile", /seccomp, AppArmor/],
  ["Cannot open /x/net.bpf.o: ENOENT (no such file or directory)", /deno task build.*KPOD_BPF_PROGRAM_DIR/],
  [`the file is not an eBPF object: run "deno task build"`, /deno task build/],
  ["there is no /sys/kernel/btf/vmlinux: the kernel needs CONFIG_DEBUG_INFO_BTF", /CONFIG_DEBUG_INFO_BTF/],
  ["the kernel cannot make map tcp: Cannot allocate memory(-12)", /KPOD_BPF_MAX_CGROUPS/],
  ["the kernel's verifier refuses it: R1 invalid mem access", /all others served/],
];

for (const [reason, advice] of REASONS) {
  Deno.test(`there is advice against: ${reason.slice(0, 60)}`, () => {
    const [finding] = signals([unavailable("oom", "mark_victim", reason), attached("syscall", "sys_enter")]);
    assertFinding(finding, ["warn", /unavailable: /, advice]);
  });
}

Deno.test("maps that three quarters of would be in use are a warning", () => {
  assertFinding(mapCapacity(100, 75), ["ok", /^75 containers with sandboxes, room for 100$/]);
  assertFinding(mapCapacity(100, 76), [
    "warn",
    /^76 .* room for 100$/,
    /KPOD_BPF_MAX_CGROUPS to 152 or more/,
  ]);
});
