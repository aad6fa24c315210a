import assert from "node:assert/strict";
import { type Architecture, isKnownSyscall, SYSCALL_NAMES, syscallNumber } from "../../src/syscalls.ts";

/** From the system call tables of syscalls(2) and the kernel's own. */
const NUMBERS: readonly (readonly [name: string, x86_64: number | undefined, aarch64: number | undefined])[] =
  [
    ["read", 0, 63],
    ["write", 1, 64],
    ["open", 2, undefined],
    ["epoll_wait", 232, undefined],
    ["epoll_pwait", 281, 22],
    ["openat", 257, 56],
    ["newfstatat", 262, 79],
    ["accept4", 288, 242],
    ["wait4", 61, 260],
    ["futex", 202, 98],
    ["kexec_file_load", 320, 294],
    ["uprobe", 336, undefined],
    ["io_uring_enter", 426, 426],
    ["rseq_slice_yield", 471, 471],
    ["opnat", undefined, undefined],
    ["", undefined, undefined],
  ];

for (const [name, x86_64, aarch64] of NUMBERS) {
  Deno.test(`${name || "the empty name"} has its number on each architecture`, () => {
    assert.equal(syscallNumber("x86_64", name), x86_64);
    assert.equal(syscallNumber("aarch64", name), aarch64);
    assert.equal(isKnownSyscall(name), x86_64 !== undefined || aarch64 !== undefined);
  });
}

for (const architecture of ["x86_64", "aarch64"] as const) {
  Deno.test(`no two system calls of ${architecture} share a number, and all are below 512`, () => {
    const numbers = [...SYSCALL_NAMES].flatMap((name) => syscallNumber(architecture, name) ?? []);
    assert.equal(new Set(numbers).size, numbers.length);
    assert.ok(numbers.every((number) => number >= 0 && number < 512));
  });
}

/** What the newest kernel that the table is of has; headers may be newer. */
const LAST = 471;

/** Not system calls of any 64-bit machine: the count of all, the base of arch-specific ones, and PowerPC's variant. */
const OTHER_DEFINITIONS = ["syscalls", "arch_specific_syscall", "sync_file_range2"];

/** Numbers for calls with 64-bit times on 32-bit machines. */
const isTime64 = (number: number) => number >= 403 && number <= 423;

/** Kernel headers as distributions install them; up to Linux 6.10 arm64 took its numbers from the generic one. */
const HEADERS: readonly (readonly [Architecture, path: string])[] = [
  ["x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"],
  ["aarch64", "/usr/include/aarch64-linux-gnu/asm/unistd_64.h"],
  ["aarch64", "/usr/include/asm-generic/unistd.h"],
];

for (const [architecture, path] of HEADERS) {
  const text = readIfPresent(path);
  Deno.test({
    name: `${path} has no other numbers than the table for ${architecture}`,
    ignore: text === undefined,
    fn: () => {
      const defined = [...(text ?? "").matchAll(/^#define __NR_(\w+) (\d+)$/gm)]
        .map(([, name = "", number]) => [name, Number(number)] as const)
        .filter(([name, number]) => !OTHER_DEFINITIONS.includes(name) && !isTime64(number) && number <= LAST);
      assert.ok(defined.length > 250, `only ${defined.length} numbers found`);
      for (const [name, number] of defined) assert.equal(syscallNumber(architecture, name), number, name);
    },
  });
}

function readIfPresent(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
