/** What a pod costs in series: counted, and held against what the README says. */
import assert from "node:assert/strict";
import { seriesLines } from "../exposition.ts";
import { ROOT } from "./agent.ts";
import { assertGolden, assertLinted, needsPromtool } from "./golden_file.ts";
import { referencePod } from "./reference_pod.ts";

const GOLDEN = "reference_pod.prom";
const README = Deno.readTextFileSync(`${ROOT}/README.md`);
const SCALING = Deno.readTextFileSync(`${ROOT}/docs/scaling.md`);

/** The most series that the reference pod may have. */
const LIMITS = { minimal: 25, standard: 75, comprehensive: 260 } as const;
type Profile = keyof typeof LIMITS;
const PROFILES = Object.keys(LIMITS) as Profile[];

async function count(profile: Profile): Promise<number> {
  return seriesLines(await referencePod(profile)).length;
}

/** The row of a page's table that begins with these words, a number a profile. */
function tableRow(page: string, words: string): Record<Profile, number> {
  const row = page.split("\n").find((line) => line.startsWith(`| ${words}`)) ?? "";
  const cells = row.split("|").slice(2, 5).map((cell) => Number(cell.replaceAll(/[ ,]/g, "")));
  assert.ok(
    cells.length === 3 && cells.every(Number.isFinite),
    `there are no three numbers of ${words}`,
  );
  const [minimal = NaN, standard = NaN, comprehensive = NaN] = cells;
  return { minimal, standard, comprehensive };
}

function readmeRow(words: string): Record<Profile, number> {
  return tableRow(README, words);
}

for (const profile of PROFILES) {
  Deno.test(`the reference pod has at most ${LIMITS[profile]} series in the profile ${profile}`, async () => {
    const series = await count(profile);
    assert.ok(series <= LIMITS[profile], `it has ${series}`);
  });

  Deno.test(`the README says how many series the reference pod has in the profile ${profile}`, async () => {
    assert.equal(readmeRow("series a pod")[profile], await count(profile));
  });
}

Deno.test("the README's arithmetic for 100,000 pods adds up", () => {
  const series = readmeRow("series a pod");
  const all = readmeRow("million series of 100,000");
  for (const profile of PROFILES) assert.equal(all[profile], series[profile] * 100_000 / 1e6);
});

Deno.test("the README's memory of Prometheus is that of docs/scaling.md", () => {
  const shown = readmeRow("GB of Prometheus' memory");
  const worked = tableRow(SCALING, "GB of memory");
  for (const profile of PROFILES) assert.equal(shown[profile], Math.round(worked[profile]), profile);
  const [, measured] = /^\| resident memory a series +\| +([\d.]+) kB \|$/m.exec(SCALING) ?? [];
  assert.ok(
    README.includes(`${Number(Number(measured).toFixed(1))} kB a series`),
    `measured are ${measured} kB`,
  );
});

Deno.test("every series of a pod, in the profile with all collectors, is the committed one", async () => {
  const text = await referencePod("comprehensive");
  // How full the disk of this machine is.
  assertGolden(GOLDEN, text.replaceAll(/^(kpod_fs_\S+) \d+$/gm, "$1 0"));
});

Deno.test("promtool finds nothing to say about those either", needsPromtool, () => assertLinted(GOLDEN));
