/** What `deno task bench` does with what it measures. */
import assert from "node:assert/strict";
import { added } from "../bench/added.ts";
import { parseArguments } from "../bench/arguments.ts";
import { differences, interleave, quotients } from "../bench/interleave.ts";
import { type Benchmark, type Figure, type Goal, summary } from "../bench/measure.ts";
import { figureTable, json, judge, page, type Result } from "../bench/report.ts";
import { shared } from "../bench/shared.ts";

const UNINTERRUPTED = new AbortController().signal;

for (
  const { values, value, range } of [
    { values: [3], value: 3, range: [3, 3] },
    { values: [9, 1, 10], value: 9, range: [1, 10] },
    { values: [10, 9, 2, 1], value: 5.5, range: [1, 10] },
    { values: [-1, 5, -7], value: -1, range: [-7, 5] },
  ]
) {
  Deno.test(`the median of ${values.join(", ")} is ${value}`, () => {
    assert.deepEqual(summary(values), { value, range });
  });
}

Deno.test("nothing has no median", () => {
  assert.throws(() => summary([]), /nothing was measured/);
});

const KNOWN = ["quick", "slow"];
for (
  const { line, expected } of [
    { line: "", expected: { help: false, only: [] } },
    { line: "--help", expected: { help: true, only: [] } },
    {
      line: "--only slow --only quick --json x.json",
      expected: { help: false, only: ["slow", "quick"], json: "x.json" },
    },
  ]
) {
  Deno.test(`the command line "${line}" is understood`, () => {
    assert.deepEqual(parseArguments(line.split(" ").filter(Boolean), KNOWN), expected);
  });
}

for (
  const { line, message } of [
    { line: "--only quick --only sloww", message: "Cannot run sloww: there are quick, slow" },
    { line: "--json=", message: "Cannot write JSON: --json needs the name of a file" },
    { line: "--fast", message: /--fast/ },
    { line: "quick", message: /quick/ },
    { line: "--only", message: /--only/ },
  ]
) {
  Deno.test(`the command line "${line}" is refused`, () => {
    assert.throws(() => parseArguments(line.split(" "), KNOWN), { message });
  });
}

for (
  const { value, reference, goal, ratio, met } of [
    { value: 40, reference: 100, goal: { atMost: 0.4 }, ratio: 0.4, met: true },
    { value: 41, reference: 100, goal: { atMost: 0.4 }, ratio: 0.41, met: false },
    { value: -1, reference: 100, goal: { atMost: 0.4 }, ratio: -0.01, met: true },
    { value: 97, reference: 100, goal: { atLeast: 0.97 }, ratio: 0.97, met: true },
    { value: 96, reference: 100, goal: { atLeast: 0.97 }, ratio: 0.96, met: false },
    { value: 8, reference: null, goal: { atMost: 8 }, ratio: null, met: true },
    { value: 9, reference: null, goal: { atMost: 8 }, ratio: null, met: false },
    { value: 9, reference: 3, goal: "report", ratio: 3, met: null },
    { value: 9, reference: null, goal: "report", ratio: null, met: null },
  ] satisfies (Pick<Figure, "value" | "reference"> & {
    goal: Goal;
    ratio: number | null;
    met: boolean | null;
  })[]
) {
  Deno.test(`${value} beside ${reference} ${met ? "meets" : "does not meet"} ${JSON.stringify(goal)}`, () => {
    assert.deepEqual(judge({ value, reference, unit: "ns" }, goal), { ratio, met });
  });
}

/** A benchmark that has run already. */
function benchmark(name: string, goal: Goal, reference: string | null = "a tool"): Benchmark {
  return {
    name,
    measures: `what ${name} does`,
    reference,
    goal,
    run: () => Promise.reject(new Error("ran")),
  };
}

const RESULTS: readonly Result[] = [
  {
    benchmark: benchmark("added", { atMost: 0.4 }),
    figure: { value: 81.234, range: [-2, 1234.5], unit: "ns", reference: 200, note: "7 rounds" },
  },
  {
    benchmark: benchmark("memory", { atMost: 8 }, null),
    figure: { value: 9.5, unit: "MB", reference: null },
  },
  { benchmark: benchmark("absent", { atLeast: 0.97 }), failure: "Cannot compare with a|b:\n  not there" },
  { benchmark: benchmark("told", "report"), figure: { value: 3, unit: "ms", reference: 2 } },
];

Deno.test("the table shows each figure beside its reference and goal, and why there is none", () => {
  assert.deepEqual(figureTable(RESULTS).split("\n").map((line) => line.split(/ *(?<!\\)\| */).slice(1, -1)), [
    ["benchmark", "figure", "smallest to largest", "reference", "ratio", "goal", "met", "note"],
    ["---------", "-------", "-------------------", "---------", "-----", "------", "---", "-".repeat(50)],
    ["added", "81.2 ns", "-2 to 1,230", "200 ns", "0.406", "≤ 0.4", "no", "7 rounds"],
    ["memory", "9.5 MB", "", "", "", "≤ 8 MB", "no", ""],
    ["absent", "none", "", "", "", "≥ 0.97", "", "could not run: Cannot compare with a\\|b: not there"],
    ["told", "3 ms", "", "2 ms", "1.5", "", "", ""],
  ]);
});

Deno.test("the JSON has one object a benchmark, with null for what there is not", () => {
  assert.deepEqual(JSON.parse(json(RESULTS)), [
    {
      name: "added",
      value: 81.234,
      unit: "ns",
      reference: 200,
      ratio: 81.234 / 200,
      goal: { atMost: 0.4 },
      met: false,
    },
    { name: "memory", value: 9.5, unit: "MB", reference: null, ratio: null, goal: { atMost: 8 }, met: false },
    {
      name: "absent",
      value: null,
      unit: null,
      reference: null,
      ratio: null,
      goal: { atLeast: 0.97 },
      met: null,
      error: "Cannot compare with a|b:\n  not there",
    },
    { name: "told", value: 3, unit: "ms", reference: 2, ratio: 1.5, goal: null, met: null },
  ]);
});

Deno.test("the page names the machine, its kernel and load, and what each benchmark is", () => {
  const text = page(RESULTS, {
    cpu: "Abacus 3",
    cpus: 2,
    memoryBytes: 24.7e9,
    kernel: "6.18.5",
    load: [0.25, 1],
  });
  assert.match(text, /^# Benchmarks\n/);
  assert.match(
    text,
    /^Measured on Abacus 3, 2 CPUs, 24\.7 GB of memory, Linux 6\.18\.5; the load average was 0\.3 before and 1\.0 after the run\.$/m,
  );
  assert.ok(text.includes(figureTable(RESULTS)));
  assert.match(text, /^\| memory +\| what memory does +\| +\|$/m);
});

Deno.test("the page is as the formatter wants it", async () => {
  const file = await Deno.makeTempFile({ suffix: ".md" });
  try {
    const machine = { cpu: "Abacus 3", cpus: 2, memoryBytes: 1e9, kernel: "6.18", load: [0, 0] } as const;
    await Deno.writeTextFile(file, page(RESULTS, machine));
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["fmt", "--check", "--config", config, file],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(file);
  }
});

/** Conditions and loads that note when they are there. */
function noted(interruption = new AbortController()) {
  const notes: string[] = [];
  const condition = (name: string) => () => {
    notes.push(`+${name}`);
    return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve(void notes.push(`-${name}`)) });
  };
  return { notes, condition, interruption };
}

Deno.test("every condition has its turn in each round, another one first, with all runs of all loads", async () => {
  const { notes, condition } = noted();
  const load = (name: string) => () => Promise.resolve(notes.push(name));
  await interleave({
    conditions: { a: condition("a"), b: condition("b"), c: condition("c") },
    loads: { x: load("x"), y: load("y") },
    rounds: 4,
    runs: 2,
  }, UNINTERRUPTED);
  const turn = (name: string) => `+${name} x x y y -${name}`;
  assert.equal(notes.join(" "), [..."abc", ..."bca", ..."cab", ..."abc"].map(turn).join(" "));
});

Deno.test("a round's figure is the least of its runs, by load and condition", async () => {
  let runs = 0;
  const { condition } = noted();
  const measured = await interleave({
    conditions: { a: condition("a"), b: condition("b") },
    loads: { squares: () => Promise.resolve((runs++ - 7) ** 2) },
    rounds: 2,
    runs: 3,
  }, UNINTERRUPTED);
  // Runs 0 to 11, in turns a b, b a.
  assert.deepEqual(measured, { squares: { a: [25, 4], b: [4, 0] } });
});

Deno.test("an interrupted measurement ends between two runs, and its condition with it", async () => {
  const { notes, condition, interruption } = noted();
  const load = () => {
    if (notes.push("x") === 3) interruption.abort(new Error("enough"));
    return Promise.resolve(1);
  };
  const plan = { conditions: { a: condition("a"), b: condition("b") }, loads: { load }, rounds: 9, runs: 9 };
  await assert.rejects(interleave(plan, interruption.signal), /enough/);
  assert.deepEqual(notes, ["+a", "x", "x", "-a"]);
});

Deno.test("differences and quotients are taken round by round", () => {
  assert.deepEqual(differences([5, 7, 100], [1, 10, 99]), [4, -3, 1]);
  assert.deepEqual(quotients([5, 7, 100], [1, 14, 10]), [5, 0.5, 10]);
});

Deno.test("what is added is the median of what each round took more", () => {
  const load = { nothing: [100, 200, 300], agent: [110, 230, 320], tool: [150, 290, 340] };
  assert.deepEqual(added(load, "a call", "; disturbed"), {
    value: 20,
    range: [10, 30],
    unit: "ns",
    reference: 50,
    note: "3 rounds; a call takes 200 ns without either; disturbed",
  });
});

Deno.test("nothing is compared with a tool that seems to cost nothing", () => {
  assert.throws(
    () => added({ nothing: [10], agent: [5], tool: [9] }, "a call", ""),
    /the other tool added -1\.0 ns/,
  );
});

Deno.test("a measurement that two figures share is made once, and fails for both", async () => {
  let made = 0;
  const measure = shared(() => Promise.resolve(++made));
  assert.deepEqual([await measure(UNINTERRUPTED), await measure(UNINTERRUPTED)], [1, 1]);
  const broken = shared(() => Promise.reject(new Error(`broken ${++made}`)));
  await assert.rejects(broken(UNINTERRUPTED), /broken 2/);
  await assert.rejects(broken(UNINTERRUPTED), /broken 2/);
});
