/** System calls by name. */

import { AARCH64_CALLS, SHARED_CALLS, X86_64_CALLS } from "./syscall_numbers.ts";

/** Machines the agent runs on, as `uname -m` and Deno name them. */
export type Architecture = "x86_64" | "aarch64";

const NUMBERS: Readonly<Record<Architecture, ReadonlyMap<string, number>>> = {
  x86_64: parseNumbers(X86_64_CALLS + SHARED_CALLS),
  aarch64: parseNumbers(AARCH64_CALLS + SHARED_CALLS),
};

/** Names that at least one architecture has. */
export const SYSCALL_NAMES: ReadonlySet<string> = new Set(
  Object.values(NUMBERS).flatMap((numbers) => [...numbers.keys()]),
);

/** Returns the number of a 64-bit system call (0…511), or undefined if the architecture has none of this name. */
export function syscallNumber(architecture: Architecture, name: string): number | undefined {
  return NUMBERS[architecture].get(name);
}

/** Whether any architecture has a system call of this name. */
export function isKnownSyscall(name: string): boolean {
  return SYSCALL_NAMES.has(name);
}

/** Reads rows of names, each row after the number of its first. */
function parseNumbers(table: string): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>();
  let next = 0;
  for (const word of table.trim().split(/\s+/)) {
    if (/^\d+$/.test(word)) next = Number(word);
    else numbers.set(word, next++);
  }
  return numbers;
}
