/** What can be known of the virtual machines without starting one. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { ladderOf } from "../../src/native/ladders.ts";
import { SIGNALS } from "../../src/native/signals.ts";
import { withDependencies } from "../vm/disks.ts";
import { type KernelPackage, KERNELS } from "../vm/kernels.ts";
import { type Machine, type Outcome, runMachine } from "../vm/machine.ts";
import { countsOf, matrixIn, tableOf } from "../vm/matrix.ts";
import { planFor, QUICK, shellOf } from "../vm/plan.ts";
import { parseReport, problemsOf, rungOf, shown, total } from "../vm/report.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const MACHINE: Machine = {
  architecture: "amd64",
  emulator: ["false"],
  image: "",
  initial: "",
  base: "",
  project: "",
};

/** Starts of which each comes up or not; returns what came of them, and how many there were. */
async function startsOf(begun: readonly boolean[], stop = new AbortController()) {
  const seen: string[] = [];
  let starts = 0;
  const outcome = await runMachine(
    MACHINE,
    { limitMs: 1, show: (line) => seen.push(line), signal: stop.signal },
    (): Promise<Outcome> => {
      const up = begun[starts++] ?? false;
      if (starts === begun.length) stop.abort();
      return Promise.resolve({ begun: up, lines: [`start ${starts}`] });
    },
  );
  return { outcome, starts, seen };
}

Deno.test("a machine that does not come up is started again, one that has begun never", async () => {
  const { outcome, starts, seen } = await startsOf([false, false, true, true]);
  assert.deepEqual([outcome.begun, outcome.lines, starts], [true, ["start 3"], 3]);
  assert.equal(seen.length, 2);
});

Deno.test("a machine that never comes up is given up after four starts", async () => {
  const { outcome, starts } = await startsOf([false, false, false, false, true]);
  assert.deepEqual([outcome.begun, starts], [false, 4]);
});

Deno.test("a machine that was stopped is not started again", async () => {
  const { outcome, starts } = await startsOf([false]);
  assert.deepEqual([outcome.begun, starts], [false, 1]);
});

Deno.test("modules come after those they need, and one that is built in is none", () => {
  const text =
    "kernel/a/virtio.ko:\nkernel/b/virtio_blk.ko.xz: kernel/c/x.ko kernel/a/virtio.ko\nkernel/my_virtio_blk.ko: z\n";
  assert.deepEqual(withDependencies(text, "virtio_blk"), [
    "kernel/a/virtio.ko",
    "kernel/c/x.ko",
    "kernel/b/virtio_blk.ko.xz",
  ]);
  assert.deepEqual(withDependencies(text, "virtio"), ["kernel/a/virtio.ko"]);
  assert.deepEqual(withDependencies(text, "virtio_pci"), []);
});

/** A shell script in the place of the emulator, whose options it ignores. */
function scripted(script: string): Machine {
  return { ...MACHINE, emulator: ["sh", "-c", script] };
}

Deno.test("what a machine prints from its script's beginning on is shown and kept", async () => {
  const seen: string[] = [];
  const outcome = await runMachine(scripted("printf 'boot\r\n@@begun\r\none\r\ntwo'"), {
    limitMs: 60_000,
    show: (line) => seen.push(line),
    signal: new AbortController().signal,
  });
  assert.deepEqual(outcome, { begun: true, lines: ["one", "two"] });
  assert.deepEqual(seen, outcome.lines);
});

Deno.test("a machine ends when it is stopped, and one that takes too long is", async () => {
  const hangs = scripted("echo @@begun; echo one; exec sleep 600");
  const stop = new AbortController();
  const outcome = await runMachine(hangs, { limitMs: 60_000, show: () => stop.abort(), signal: stop.signal });
  assert.deepEqual(outcome, { begun: true, lines: ["one"] });
  const late = await runMachine(hangs, { limitMs: 1, show: () => {}, signal: new AbortController().signal });
  assert.equal(late.begun, true);
  const before = await runMachine(hangs, { limitMs: 60_000, show: () => {}, signal: stop.signal });
  assert.equal(before.begun, false, "stopped before it started");
});

const [KERNEL] = KERNELS;
const kernel: KernelPackage = KERNEL ?? assert.fail();

/** Lines as a machine prints them: every signal by the rung that the kernel should take, and one stage of tests. */
function printed(
  {
    without = "",
    by = {},
    tests = ["@@stage tests", "ok | 3 passed (2 steps) | 0 failed | 1 ignored (5s)", "@@code 0"],
  }: {
    without?: string;
    by?: Readonly<Record<string, string>>;
    tests?: readonly string[];
  } = {},
): string[] {
  const states = SIGNALS.flatMap((signal) => {
    const { name, rungs } = signal;
    const [usual] = ladderOf(signal, { preempted: false });
    const wanted = by[name] ?? kernel.rungs[name]?.[0] ?? usual?.programs[0] ?? "";
    const rung = rungs.find(({ programs }) => (programs as readonly string[]).includes(wanted)) ??
      assert.fail();
    const state = name === without ? "unavailable" : "attached";
    return rung.programs.map((program) => ({
      signal: name,
      program,
      hook: rung.hook,
      state,
      reason: state === "attached" ? "" : "the kernel says no",
    }));
  });
  return [
    "@@stage signals",
    ...states.map((state) => `@@state ${JSON.stringify(state)}`),
    "@@code 0",
    ...tests,
    "@@ended",
  ];
}

Deno.test("what a machine prints is read: signals, stages, tests", () => {
  const report = parseReport(printed());
  assert.deepEqual(total(report), { passed: 3, failed: 0, skipped: 1 });
  assert.deepEqual(report.stages.map(({ name, code }) => [name, code]), [["signals", 0], ["tests", 0]]);
  assert.equal(rungOf(report, "oom"), "fentry oom_kill_fentry");
  assert.deepEqual(problemsOf(report, kernel), []);
});

const FAILS = [
  "@@stage tests",
  "a thing works => ./tests/kernel/x.test.ts:3:6",
  "a thing works => ./tests/kernel/x.test.ts:3:6",
  "FAILED | 1 passed | 1 failed (5s)",
  "@@code 1",
];
const PROBLEMS: readonly (readonly [title: string, lines: readonly string[], problems: readonly string[]])[] =
  [
    ["a failed test", printed({ tests: FAILS }), ["tests: a thing works"]],
    ["another failure", printed({ tests: ["@@stage tests", "@@code 2"] }), ["tests: exit code 2"]],
    [
      "no test that ran",
      printed({ tests: ["@@stage tests", "ok | 0 passed | 0 failed (0ms)", "@@code 0"] }),
      [
        "tests: no test ran",
      ],
    ],
    [
      "a signal whose test is skipped",
      printed({ tests: ["@@stage each signal", "ok | 3 passed | 0 failed | 1 ignored (0ms)", "@@code 0"] }),
      [
        "each signal: 1 tests were skipped",
      ],
    ],
    ["a machine that stopped in a test", printed({ tests: ["@@stage tests"] }).slice(0, -1), [
      "tests: the machine stopped or took too long",
    ]],
    ["a machine that stopped after them", printed().slice(0, -1), ["the machine did not come to its end"]],
    ["a signal that does not work", printed({ without: "oom" }), [
      "signal oom is not available: the kernel says no",
    ]],
    ["a lesser rung than the kernel has", printed({ by: { oom: "mark_victim_pid" } }), [
      "signal oom uses mark_victim_pid: expected oom_kill_fentry",
    ]],
    ["a signal that was not tried", printed().filter((line) => !line.includes('"page_faults"')), [
      "signal page_faults was not tried",
    ]],
  ];

for (const [title, lines, problems] of PROBLEMS) {
  Deno.test(`a kernel fails by ${title}`, () =>
    assert.deepEqual(problemsOf(parseReport(lines), kernel), problems));
}

Deno.test("of a command only its exit code counts", () => {
  assert.deepEqual(problemsOf(parseReport(["@@stage true", "@@code 0", "@@ended"]), kernel, true), []);
  assert.deepEqual(problemsOf(parseReport(["@@stage x", "@@code 3", "@@ended"]), kernel, true), [
    "x: exit code 3",
  ]);
});

Deno.test("what is shown are stages and lines, each name once", () => {
  assert.equal(shown("@@stage tests"), "-- tests");
  assert.equal(shown("@@state {}"), undefined);
  assert.equal(shown("it works ...it works ... ok (3s)"), "it works ... ok (3s)");
  assert.equal(shown("anything"), "anything");
});

Deno.test("the quick tests are tests that there are", async () => {
  for (const [file, names] of Object.entries(QUICK)) {
    const text = await Deno.readTextFile(`${ROOT}${file}`);
    // A name in a template is told by what is before its first variable, or after its last.
    const templates = [...text.matchAll(/["`]([^"`\n]{10,})["`]/g)].map(([, name = ""]) =>
      name.split(/\$\{.*?\}/)
    );
    for (const name of names) {
      const isThere = templates.some((parts) =>
        name.startsWith(parts[0] ?? "") && name.endsWith(parts.at(-1) ?? "") &&
        parts.every((part) => name.includes(part))
      );
      assert.ok(isThere, `${file}: ${name}`);
    }
  }
});

for (const each of KERNELS) {
  Deno.test(`every rung that kernel ${each.name} has is a rung, and is held to its tests`, () => {
    const stages = planFor(each, { rungs: true }).map(({ name, environment = {} }) =>
      [name, environment] as const
    );
    for (const [signal, programs] of Object.entries(each.rungs)) {
      const ladder = SIGNALS.find(({ name }) => name === signal)?.rungs ?? [];
      for (const [index, program] of programs.entries()) {
        assert.ok(ladder.some(({ programs }) => (programs as readonly string[]).includes(program)), program);
        const forced = stages.some(([, { KPOD_TEST_RUNGS = "" }]) =>
          KPOD_TEST_RUNGS === `${signal}=${program}`
        );
        assert.equal(forced, index > 0, program);
      }
    }
    assert.equal(stages.some(([, { KPOD_TEST_STORAGE }]) => KPOD_TEST_STORAGE === "hash"), each.localStorage);
  });
}

Deno.test("stages are commands of a shell, quoted", async () => {
  const script = shellOf([
    { name: "it's one", environment: { VALUE: "a b" }, command: ["sh", "-c", 'echo "$VALUE"; exit 3'] },
    { name: "two", command: ["echo", "$HOME", "'"] },
  ]);
  const { stdout } = await new Deno.Command("bash", { args: ["-c", script] }).output();
  assert.equal(
    new TextDecoder().decode(stdout),
    "@@stage it's one\na b\n@@code 3\n@@stage two\n$HOME '\n@@code 0\n",
  );
});

const BEGIN = "<!-- Written by `deno task test:vm --all --write`. -->";
const END = "<!-- End of what is written. -->";

Deno.test("a kernel's row in the matrix is made anew, and those of others stay", () => {
  const result = (name: string, release: string) => ({
    kernel: { ...kernel, name },
    release,
    report: parseReport(printed()),
    problems: [],
    seconds: 90,
  });
  const first = matrixIn(`before\n${BEGIN}\nold\n${END}\nafter\n`, [
    result("5.10", "5.10.1"),
    result("6.1", "6.1.2"),
  ]);
  const second = matrixIn(first, [result("6.1", "6.1.3")]);
  const cells = (text: string, row: number) => {
    const rows = text.split("\n").filter((line) => line.startsWith("|"));
    return rows[row]?.split("|").slice(1, -1).map((cell) => cell.trim());
  };
  assert.deepEqual(cells(second, 2), cells(first, 2));
  assert.deepEqual(cells(second, 2)?.slice(0, 3), ["5.10", "5.10.1", "tp_btf"]);
  assert.deepEqual(cells(second, 3)?.slice(0, 2), ["6.1", "6.1.3"]);
  assert.deepEqual(cells(second, 3)?.slice(-3), ["3", "0", "1"]);
  assert.ok(second.startsWith(`before\n${BEGIN}\n`) && second.endsWith(`${END}\nafter\n`));
  assert.ok(!second.includes("old"));
  assert.match(tableOf([result("6.1", "6.1.3")]), /^6\.1 +6\.1\.3 +9 of 9 +3 +0 +1 +1\.5 +ok$/m);
});

for (
  const [title, problems, failed] of [
    ["a failed test is one", ["tests: a thing works"], 1],
    ["what no test told is one, too", ["tests: a thing works", "signal oom uses x: expected y"], 2],
  ] as const
) {
  Deno.test(`of a kernel's failures ${title}`, () => {
    const report = parseReport(printed({ tests: FAILS }));
    const result = { kernel, release: "6.1.2", report, problems, seconds: 1 };
    assert.deepEqual(countsOf([result, result]), { passed: 2, failed: 2 * failed, skipped: 0 });
  });
}

Deno.test("a document without a place for the matrix is refused", () => {
  assert.throws(() => matrixIn("nothing", []), /Cannot write the matrix/);
});
