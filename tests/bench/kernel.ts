/** The benchmarks of what happens in the kernel, in the order they run. */
import { MEMORY_BENCHMARKS } from "./kernel_memory.ts";
import { SCHED_BENCHMARKS } from "./kernel_sched.ts";
import { SYSCALL_BENCHMARKS } from "./kernel_syscall.ts";
import { TCP_BENCHMARKS } from "./kernel_tcp.ts";
import type { Benchmark } from "./measure.ts";

export const KERNEL_BENCHMARKS: readonly Benchmark[] = [
  ...SCHED_BENCHMARKS,
  ...SYSCALL_BENCHMARKS,
  ...TCP_BENCHMARKS,
  ...MEMORY_BENCHMARKS,
];
