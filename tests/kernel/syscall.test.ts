/** System calls against the programs' own counts and clocks. */
import assert from "node:assert/strict";
import { SLOTS } from "../../src/metrics/histogram.ts";
import { syscallNumber } from "../../src/syscalls.ts";
import { LabNode } from "../lab/node.ts";
import type { LabContainer } from "../lab/pods.ts";
import type { SyscallCounts } from "../lab/workload.ts";
import { Workload } from "../lab/workload.ts";
import { needsPrograms } from "./requirements.ts";
import { assertNothingMissed } from "./tcp.ts";
import { until } from "./until.ts";
import { idOf, observations, Watch } from "./watch.ts";

/** Libraries wait by this one, where the other is not there. */
const EPOLL_CALL = Deno.build.arch === "aarch64" ? "epoll_pwait" : "epoll_wait";

interface Counted {
  readonly count: number;
  readonly errors: number;
  /** Calls that have returned, by the histogram. */
  readonly returned: number;
  readonly ns: number;
  readonly slots: readonly number[];
}

function counted(watch: Watch, container: LabContainer, call: string): Counted {
  const counters = watch.counters("syscall", container, call);
  const number = (name: string) => Number(counters[name] ?? 0);
  return {
    count: number("count"),
    errors: number("errors"),
    returned: observations(counters, "latency_slots"),
    ns: number("latency_ns"),
    slots: (counters["latency_slots"] ?? []) as number[],
  };
}

function growth(before: Counted, after: Counted): Counted {
  return {
    count: after.count - before.count,
    errors: after.errors - before.errors,
    returned: after.returned - before.returned,
    ns: after.ns - before.ns,
    slots: after.slots.map((calls, slot) => calls - (before.slots[slot] ?? 0)),
  };
}

/** Starts one workload in a container, then watches the calls. */
async function watched(args: readonly string[], syscalls: readonly string[], below?: string) {
  const node = await LabNode.start();
  const container = (await node.addPod({ name: "calls" })).container();
  const workload = await node.run(container, args, below === undefined ? {} : { below });
  const watch = new Watch(node, ["syscall"], { syscalls });
  return {
    container,
    workload,
    watch,
    calls: (call: string) => counted(watch, container, call),
    async [Symbol.asyncDispose]() {
      watch[Symbol.dispose]();
      await node.stop();
    },
  };
}

/** Whether a process waits in a system call (`/proc/PID/syscall`). */
function isIn(pid: number, call: string): boolean {
  return Deno.readTextFileSync(`/proc/${pid}/syscall`).startsWith(
    `${syscallNumber(Deno.build.arch, call)} `,
  );
}

/** The slot that a duration belongs in: the first whose bound, 2^(slot-20) s, is not below it. */
function slotOf(ns: number): number {
  const slot = Math.ceil(Math.log2(ns / 1e9)) + 20;
  return Math.min(Math.max(slot, 0), SLOTS - 1);
}

const UNITS = 500;
const ATTEMPTS = 20;
for (
  const [title, threads, below] of [
    ["one thread", 1, undefined],
    ["four threads at once", 4, undefined],
    ["a process in a cgroup below the container's", 1, "system.slice/inner.service"],
  ] as const
) {
  Deno.test(`calls and errors of ${title} are counted exactly`, needsPrograms, async () => {
    const names = ["read", "write", "openat", "close"] as const;
    await using lab = await watched(["syscalls", "--threads", String(threads)], names, below);
    const own = await lab.workload.go<SyscallCounts>(UNITS);
    assert.equal(own.openat.count, 2 * UNITS * threads);
    assertNothingMissed(lab.watch);
    for (const name of names) {
      const { count, errors, returned, ns } = lab.calls(name);
      assert.deepEqual({ count, errors }, own[name], name);
      assert.equal(returned, count, `${name} returned`);
      assert.ok(ns > 0, name);
    }
  });
}

Deno.test("calls that are not tracked, and those outside pods, make no entry", needsPrograms, async () => {
  await using lab = await watched(["syscalls"], ["write"]);
  await using outside = await Workload.start(["syscalls"]);
  await outside.go(10);
  assert.deepEqual(lab.watch.ids("syscall"), []);
  await lab.workload.go(10);
  assert.deepEqual(lab.watch.ids("syscall"), [idOf(lab.container)]);
  assert.equal(lab.calls("write").count, 10);
});

Deno.test("a call that never returns is counted when it is entered", needsPrograms, async () => {
  await using lab = await watched(["children"], ["exit_group"]);
  await lab.workload.go(5);
  assert.equal(lab.calls("exit_group").count, 5);
  await lab.workload.exit();
  const { count, errors, returned, ns } = lab.calls("exit_group");
  assert.deepEqual({ count, errors, returned, ns }, { count: 6, errors: 0, returned: 0, ns: 0 });
});

Deno.test(
  "a call that goes on is counted, and timed when it ends, by a kill at the latest",
  needsPrograms,
  async () => {
    await using lab = await watched(["sleep-syscall", "--call", "futex"], ["futex"]);
    const { pid } = lab.workload;
    const answer = assert.rejects(lab.workload.go(1, 60e6), /ended by SIGKILL/);
    await until("it sleeps", () => isIn(pid, "futex"));
    const during = lab.calls("futex");
    assert.deepEqual([during.count, during.returned], [1, 0]);
    await lab.workload.kill();
    await answer;
    const after = lab.calls("futex");
    assert.deepEqual([after.count, after.returned, after.errors], [1, 1, 0]);
  },
);

for (const [title, restart] of [["fails", "no"], ["is made again", "yes"]] as const) {
  Deno.test(
    `a call that a signal interrupts has an error where the program sees one: it ${title}`,
    needsPrograms,
    async () => {
      await using lab = await watched(["interrupted", "--restart", restart], ["read", "write"]);
      const { workload, calls } = lab;
      const units = 5;
      let errors = 0;
      for (let unit = 0; unit < units; unit++) {
        const answer = workload.go(1);
        await until("it reads", () => isIn(workload.pid, "read"));
        // A stop interrupts the call too, but no handler runs: the kernel makes it again.
        if (unit === 0) {
          const { count } = calls("read");
          Deno.kill(workload.pid, "SIGSTOP");
          await until("it is stopped", () => calls("read").returned > 0);
          Deno.kill(workload.pid, "SIGCONT");
          await until("it reads again", () => calls("read").count > count && isIn(workload.pid, "read"));
          assert.equal(calls("read").errors, 0);
        }
        Deno.kill(workload.pid, "SIGUSR1");
        const { errors: seen = 0, handled } = await answer;
        assert.equal(handled, 1);
        errors += seen;
      }
      assert.equal(errors, restart === "yes" ? 0 : units);
      const read = calls("read");
      // Each time the kernel makes a call again is one more entry.
      const entries = 1 + (restart === "yes" ? 2 * units : units);
      assert.deepEqual([read.count, read.errors, read.returned], [entries, errors, entries]);
      const write = calls("write");
      assert.deepEqual([write.count, write.errors], [restart === "yes" ? units : 0, 0]);
    },
  );
}

for (
  const [call, usec, sleeps] of [
    ["nanosleep", 1_000, 100],
    ["nanosleep", 50_000, 4],
    ["epoll_wait", 2_000, 50],
    ["futex", 1_000, 50],
    ["futex", 10_000, 10],
  ] as const
) {
  Deno.test(
    `${sleeps} sleeps of ${usec / 1000} ms in ${call} take the time the program sees`,
    needsPrograms,
    async () => {
      const name = call === "epoll_wait" ? EPOLL_CALL : call;
      await using lab = await watched(["sleep-syscall", "--call", call], [name]);
      let before = lab.calls(name);
      for (let attempt = 1;; attempt++) {
        const own = await lab.workload.go(sleeps, usec);
        const after = lab.calls(name);
        const { count, errors, returned, ns, slots } = growth(before, after);
        before = after;
        assert.deepEqual([count, returned, errors], [sleeps, sleeps, own["errors"]]);
        const witness = own["ns"] ?? 0;
        assert.ok(ns <= witness, `${ns} ns counted, ${witness} ns by its own clock`);
        const used = slots.flatMap((calls, slot) => calls > 0 ? [slot] : []);
        assert.ok(Math.min(...used) >= slotOf(usec * 1000), `slots ${used}`);
        assert.ok(Math.max(...used) <= slotOf(own["longest_ns"] ?? 0), `slots ${used}`);
        if (ns >= 0.95 * witness) break;
        // It may lose the CPU on its way from the kernel to its clock: not every time.
        assert.ok(attempt < ATTEMPTS, `${ns} ns counted, ${witness} ns by its own clock`);
      }
    },
  );
}

for (const call of ["fork", "vfork", "clone"]) {
  const isThere = syscallNumber(Deno.build.arch, call) !== undefined;
  Deno.test(`${call} is one call, although it returns in the child too`, {
    ignore: needsPrograms.ignore || !isThere,
  }, async () => {
    await using lab = await watched(["children", "--call", call], [call]);
    assert.deepEqual(await lab.workload.go(20), { children: 20 });
    const { count, errors, returned } = lab.calls(call);
    assert.deepEqual({ count, errors, returned }, { count: 20, errors: 0, returned: 20 });
  });
}

/** This setting exists where the kernel has a 32-bit system call table (arch/x86/entry/vdso/vdso32-setup.c). */
const HAS_I386 = Deno.build.arch === "x86_64" && isFile("/proc/sys/abi/vsyscall32");

Deno.test("a 32-bit call is not taken for the 64-bit call of its number", {
  ignore: needsPrograms.ignore || !HAS_I386,
}, async () => {
  await using lab = await watched(["compat"], ["sched_yield"]);
  assert.deepEqual(await lab.workload.go(20), { right: 20 });
  assert.deepEqual(lab.watch.ids("syscall"), []);
});

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
