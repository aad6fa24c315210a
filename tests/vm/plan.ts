/** What is run in a machine. */
import type { KernelPackage } from "./kernels.ts";
import { SIGNALS_STAGE, WITNESSES_STAGE } from "./report.ts";

/** One command in the machine, with its environment. */
export interface Stage {
  readonly name: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

export interface PlanOptions {
  /** The whole suite and every rung. */
  readonly all?: boolean;
  /** Every rung that works on the kernel. */
  readonly rungs?: boolean;
  /** These files, or other arguments of `deno test`, instead. */
  readonly tests?: readonly string[];
  /** A shell command instead of tests. */
  readonly run?: string;
}

/** For every signal, and for what only pure cgroup v2 shows, the tests that hold it to its witness. */
export const QUICK: Readonly<Record<string, readonly string[]>> = {
  "tests/kernel/cpu_sched.test.ts": [
    "with systemd directories each switch and wait is its container's",
    "the first wait of a new process counts, and the switch that ends it",
  ],
  "tests/kernel/cgroup_v2.test.ts": [
    "what is written to a disk and read from it is counted to the byte and the request",
    "when the kernel kills all of a container each process is one kill",
    "a container that is held back by cpu.max is throttled for the time it does not get",
    "memory is what the container has taken, and its limit what was set",
    "who waits for a disk, for memory or for a CPU is under that pressure",
  ],
  "tests/kernel/netem.test.ts": ["round trip times over a link of 40 ms are that long"],
  "tests/kernel/oom.test.ts": [
    "each kill of a container's process is one, by every account of it",
    "a kill that another pod's process brings about is the victim's",
  ],
  "tests/kernel/page_faults.test.ts": [
    "the faults of a container's process that need the disk are counted exactly",
  ],
  "tests/kernel/syscall.test.ts": [
    "calls and errors of one thread are counted exactly",
    "a call that a signal interrupts has an error where the program sees one: it fails",
    "50 sleeps of 2 ms in epoll_wait take the time the program sees",
  ],
  "tests/kernel/tcp_bytes.test.ts": [
    "pieces of any size count alike, on several connections at a time",
    "an end that comes with the last data is not a byte",
  ],
  "tests/kernel/tcp_connections.test.ts": [
    "a connection is active at the end that opened it and passive at the other",
    "a connection refused is a failure of the end that opened it",
  ],
  "tests/kernel/tcp_softirq.test.ts": [
    "retransmits under 15 % loss are the namespace's",
    "round trip times are TCP_INFO's, one for each segment received",
  ],
};

/** The tests of a signal with several rungs. */
const RUNG_TESTS: Readonly<Record<string, readonly string[]>> = {
  oom: ["tests/kernel/oom.test.ts"],
  tcp_bytes_sent: ["tests/kernel/tcp_bytes.test.ts"],
  page_faults: ["tests/kernel/page_faults.test.ts"],
  syscall: ["tests/kernel/syscall.test.ts"],
};
/** The tests of all that remembers something of a task or a socket. */
const STORAGE_TESTS = ["cpu_sched", "syscall", "tcp_bytes", "tcp_connections", "tcp_softirq"].map((name) =>
  `tests/kernel/${name}.test.ts`
);

/** The stages for a kernel, in their order. */
export function planFor(kernel: KernelPackage, options: PlanOptions): readonly Stage[] {
  if (options.run !== undefined) return [{ name: options.run, command: ["bash", "-c", options.run] }];
  const signals = {
    name: SIGNALS_STAGE,
    command: ["deno", "run", "--cached-only", "--allow-all", "tests/vm/states.ts"],
  };
  const stages = [signals, ...testStages(options)];
  return options.all || options.rungs ? [...stages, ...rungStages(kernel)] : stages;
}

function testStages({ all, tests }: PlanOptions): readonly Stage[] {
  if (tests !== undefined && tests.length > 0) return [{ name: "tests", command: test(...tests) }];
  if (all) return [{ name: "all kernel tests", command: test("tests/kernel") }];
  const names = Object.values(QUICK).flat().map((name) => name.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return [{
    name: WITNESSES_STAGE,
    command: test(`--filter=/^(?:${names.join("|")})$/`, ...Object.keys(QUICK)),
  }];
}

/** Every rung that the kernel has but does not take of itself, held to the same witnesses. */
function rungStages({ rungs, localStorage }: KernelPackage): readonly Stage[] {
  const forced = Object.entries(rungs).flatMap(([signal, [, ...others]]) =>
    others.map((program) => ({
      name: `${signal} by ${program}`,
      environment: { KPOD_TEST_RUNGS: `${signal}=${program}` },
      command: test(...RUNG_TESTS[signal] ?? []),
    }))
  );
  if (!localStorage) return forced;
  const marked = rungs.oom?.find((program) => program === "mark_victim");
  return [
    ...forced,
    {
      name: "hashes for what is remembered",
      environment: {
        KPOD_TEST_STORAGE: "hash",
        ...marked === undefined ? {} : { KPOD_TEST_RUNGS: `oom=${marked}` },
      },
      command: test(...STORAGE_TESTS, ...marked === undefined ? [] : RUNG_TESTS["oom"] ?? []),
    },
  ];
}

/** Types are checked where the project is built. */
function test(...args: readonly string[]): readonly string[] {
  return ["deno", "test", "--no-check", "--cached-only", "--allow-all", ...args];
}

/** The stages as commands of a shell, which say when each begins and with what code it ends. */
export function shellOf(stages: readonly Stage[]): string {
  return stages.map(({ name, environment = {}, command }) => {
    const words = [...Object.entries(environment).map(([key, value]) => `${key}=${value}`), ...command];
    return `echo ${quoted(`@@stage ${name}`)}\nenv ${words.map(quoted).join(" ")}\necho "@@code $?"\n`;
  }).join("");
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
