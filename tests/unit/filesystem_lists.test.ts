/** When lists of mounts are read again, and that what changes shows all the same. */
import assert from "node:assert/strict";
import type { FakeHost } from "./fake_host.ts";
import { DATA, ROOT, setUp } from "./filesystem_setup.ts";

/** The /proc/PID/status of a process that may mount, and of one that may not. */
const [MOUNTS, MOUNTS_NOT] = ["0000000000200000", "00000000a80425fb"]
  .map((bits) => `CapInh:\t0000000000000000\nCapPrm:\t${bits}\nCapBnd:\t${bits}\n`) as [string, string];

/** Cycles in which the list of mounts is read, of five that follow each other. */
async function readingsOf({ proc, collect }: ReturnType<typeof setUp>): Promise<number[]> {
  const readings: number[] = [];
  for (let cycle = 0; cycle < 5; cycle++) {
    proc.read.length = 0;
    await collect();
    if (proc.read.includes("7/mountinfo")) readings.push(cycle);
  }
  return readings;
}

const EVERY_CYCLE = [0, 1, 2, 3, 4];

const LISTS: readonly [what: string, status: string | undefined, mounts: string, readings: number[]][] = [
  ["a process that may mount", MOUNTS, DATA, EVERY_CYCLE],
  ["a process that may not, and takes on nobody's", MOUNTS_NOT, DATA, [0, 1, 2]],
  [
    "a process that may not, and takes on others'",
    MOUNTS_NOT,
    "2 1 0:2 / /data rw master:7 - tmpfs tmpfs rw",
    EVERY_CYCLE,
  ],
  [
    "a process that may not, and shares its own",
    MOUNTS_NOT,
    "2 1 0:2 / /data rw shared:7 - tmpfs tmpfs rw",
    EVERY_CYCLE,
  ],
  ["a process of which nobody says whether it may", undefined, DATA, EVERY_CYCLE],
];

for (const [what, status, mounts, readings] of LISTS) {
  Deno.test(`the list of mounts is read in ${readings.length} of five cycles: ${what}`, async () => {
    const setup = setUp();
    if (status !== undefined) setup.proc.files.set("7/status", status);
    setup.host.mounts(7, [ROOT, mounts]);
    assert.deepEqual(await readingsOf(setup), readings);
  });
}

Deno.test("where the kernel does not say which mount a path leads to, lists of mounts are read in every cycle", async () => {
  const setup = setUp();
  setup.proc.files.set("7/status", MOUNTS_NOT);
  setup.host.mounts(7, [ROOT]);
  setup.host.tellsMounts = false;
  assert.deepEqual(await readingsOf(setup), EVERY_CYCLE);
});

/** What an intruder may do to a container that may not mount, and what is shown in the next cycle. */
const INTRUSIONS: readonly [
  what: string,
  mounts: string[],
  fakes: (host: FakeHost) => void,
  shown: string[],
][] = [
  ["takes a mount away", [ROOT], (host) => host.set("/data", { error: 2 }), ["/"]],
  ["takes a mount away from the directory it was on", [ROOT], (host) => host.set("/data", { mountId: 1 }), [
    "/",
  ]],
  [
    "covers a mount",
    [ROOT, DATA, "9 2 0:9 / /data rw - tmpfs tmpfs rw"],
    (host) => host.set("/data", { mountId: 9 }),
    ["/", "/data"],
  ],
  [
    "puts another one in its place, whose device has the same number",
    [ROOT, "9 1 0:2 / /data rw - tmpfs tmpfs rw"],
    (host) => host.set("/data", { mountId: 9 }),
    ["/", "/data"],
  ],
];

for (const [what, mounts, fake, shown] of INTRUSIONS) {
  Deno.test(`it shows in the next cycle when somebody ${what}`, async () => {
    const setup = setUp();
    setup.proc.files.set("7/status", MOUNTS_NOT);
    setup.host.mounts(7, [ROOT, DATA]);
    await readingsOf(setup);
    setup.host.mounts(7, mounts);
    fake(setup.host);
    for (let cycle = 0; cycle < 2; cycle++) {
      assert.deepEqual((await setup.collect()).map((row) => row.split(" ")[1]), shown);
    }
  });
}

Deno.test("a mount that somebody adds to a container that may not mount shows within a minute", async () => {
  const setup = setUp();
  setup.proc.files.set("7/status", MOUNTS_NOT);
  setup.host.mounts(7, [ROOT]);
  await readingsOf(setup);
  setup.host.mounts(7, [ROOT, DATA]);
  assert.deepEqual(await setup.collect(), ["main / 1000 700 250"]);
  setup.time.now += 60_000;
  assert.deepEqual(await setup.collect(), ["main / 1000 700 250", "main /data 1000 700 250"]);
});

Deno.test("another process is looked for when that of settled mounts has ended, in the same cycle", async () => {
  const setup = setUp();
  const { proc, host } = setup;
  proc.files.set("7/status", MOUNTS_NOT);
  host.mounts(7, [ROOT, DATA]);
  await readingsOf(setup);
  proc.put("/c0", 8);
  host.mounts(8, ["3 2 0:3 / / rw - overlay overlay rw"]);
  host.forget(7);
  host.end(7);
  assert.deepEqual(await setup.collect(), ["main / 1000 700 250"]);
});
