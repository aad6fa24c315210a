/** CPU time of another process, to the nanosecond; `/proc/PID/stat` counts ticks of 10 ms. */

/** CPUCLOCK_SCHED of include/linux/posix-timers_types.h: a process's clock is its id, inverted, above three bits. */
const SCHEDULER_CLOCK = 2;

const SYMBOLS = {
  /** `int clock_gettime(clockid_t clockid, struct timespec *tp)` */
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

export class ProcessClock implements Disposable {
  readonly #library = Deno.dlopen("libc.so.6", SYMBOLS);

  /** What all threads of these processes have run in all, in nanoseconds; throws for one that is gone. */
  read(...pids: readonly number[]): number {
    return pids.reduce((sum, pid) => sum + this.#readOne(pid), 0);
  }

  #readOne(pid: number): number {
    const time = new BigInt64Array(2);
    const clock = (~pid << 3) | SCHEDULER_CLOCK;
    if (this.#library.symbols.clock_gettime(clock, new Uint8Array(time.buffer)) !== 0) {
      throw new Error(`Cannot read the CPU time of process ${pid}: it is gone`);
    }
    return Number(time[0]) * 1e9 + Number(time[1]);
  }

  [Symbol.dispose](): void {
    this.#library.close();
  }
}
