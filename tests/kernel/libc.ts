/** C library functions that tests need and Deno does not offer. */
const SYMBOLS = {
  /** `int sched_setaffinity(pid_t pid, size_t cpusetsize, const cpu_set_t *mask)` */
  sched_setaffinity: { parameters: ["i32", "usize", "buffer"], result: "i32" },
  /** `long syscall(long number, ...)` with one argument */
  syscall: { parameters: ["i64", "u64"], result: "i64" },
} as const satisfies Deno.ForeignLibraryInterface;

export class Libc implements Disposable {
  readonly #library = Deno.dlopen("libc.so.6", SYMBOLS);

  /** Moves a thread to one of the first 64 CPUs; returns whether it was there to be moved. */
  moveThread(tid: number, cpu: number): boolean {
    const mask = new Uint8Array(new BigUint64Array([1n << BigInt(cpu)]).buffer);
    return this.#library.symbols.sched_setaffinity(tid, BigInt(mask.length), mask) === 0;
  }

  /** Makes a system call with one argument of 64 bits. */
  syscall(number: number, argument: bigint): bigint {
    return this.#library.symbols.syscall(BigInt(number), argument);
  }

  [Symbol.dispose](): void {
    this.#library.close();
  }
}
