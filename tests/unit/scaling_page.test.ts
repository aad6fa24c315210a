/** The arithmetic of docs/scaling.md: from what was measured and the README's series of a pod to 1,000 nodes. */
import assert from "node:assert/strict";
import { PROFILES } from "../../src/profiles.ts";
import { COLLECTOR_ENTRIES } from "../../src/collectors/list.ts";
import { ROOT } from "../agent/agent.ts";
import { goldenPath } from "../agent/golden_file.ts";
import { seriesLines } from "../exposition.ts";

const PAGE = Deno.readTextFileSync(`${ROOT}/docs/scaling.md`);
/** Wherever its lines end. */
const PROSE = PAGE.replaceAll(/\s+/g, " ");
const README = Deno.readTextFileSync(`${ROOT}/README.md`);

type Profile = keyof typeof PROFILES;
const NAMES = Object.keys(PROFILES) as Profile[];

const NODES = 1_000;
const PODS_OF_NODE = 100;
const SERIES_OF_AGENT = 100;
const INTERVAL_SECONDS = 30;
const DAY_SECONDS = 86_400;

/** The numbers of the row that begins with these words, without their units. */
function row(page: string, words: string): number[] {
  const line = page.split("\n").find((each) => each.startsWith(`| ${words} `));
  assert.ok(line !== undefined, `there is no row of ${words}`);
  return line.split("|").slice(2, -1).map((cell) => Number.parseFloat(cell));
}

function measured(words: string): number {
  const [value = NaN] = row(PAGE, words);
  return value;
}

const round = (value: number, decimals: number) => Number(value.toFixed(decimals));

const resident = measured("resident memory a series") * 1e3;
const cpusOf100k = measured("CPUs for 100,000 samples a second");
const chunkBytes = measured("chunks of a block a sample");

Deno.test("what 1,000 nodes take follows from what was measured", () => {
  NAMES.forEach((profile, column) => {
    const [textBytes = NaN, compressedBytes = NaN] = row(PAGE, profile);
    const series = PODS_OF_NODE * (row(README, "series a pod")[column] ?? NaN) + SERIES_OF_AGENT;
    const all = NODES * series;
    const samples = all / INTERVAL_SECONDS;
    const expected: readonly (readonly [words: string, value: number])[] = [
      ["series a node", series],
      ["million series in all", round(all / 1e6, 1)],
      ["text of a scrape, MB", round(series * textBytes / 1e6, 2)],
      ["compressed, kB", round(series * compressedBytes / 1e3, 0)],
      ["thousand samples a second", round(samples / 1e3, 0)],
      ["MB a second on the network", round(samples * compressedBytes / 1e6, 1)],
      ["CPUs for ingestion", round(samples / 1e5 * cpusOf100k, 1)],
      ["GB of memory", round(all * resident / 1e9, 1)],
      ["GB of blocks a day", round(samples * DAY_SECONDS * chunkBytes / 1e9, 0)],
    ];
    for (const [words, value] of expected) {
      const found = PAGE.split("\n").find((line) => line.startsWith(`| ${words}`))?.split("|")[column + 2];
      assert.equal(Number(found), value, `${words}, ${profile}`);
    }
  });
});

Deno.test("what a shard takes is its share", () => {
  const [, shards, series, gigabytes] =
    /(\w+) shards of `standard` have ([\d.]+) million series and ([\d.]+) GB each/.exec(PROSE) ?? [];
  const all = NODES * (PODS_OF_NODE * (row(README, "series a pod")[1] ?? NaN) + SERIES_OF_AGENT);
  assert.equal(shards, "Four");
  assert.equal(Number(series), round(all / 4 / 1e6, 1));
  assert.equal(Number(gigabytes), round(all / 4 * resident / 1e9, 1));
});

Deno.test("the reviews that kubelets ask for follow from how long they remember", () => {
  const [tokens, permissions, refusals] = [120, 300, 30].map((seconds) => NODES / seconds);
  assert.equal(row(PAGE, "a TokenReview").at(-1), round(tokens ?? NaN, 1));
  assert.equal(row(PAGE, "a SubjectAccessReview").at(-1), round(permissions ?? NaN, 1));
  assert.ok(PROSE.includes(`${round((tokens ?? NaN) + (permissions ?? NaN), 1)} reviews a second`));
  assert.ok(PROSE.includes(`which makes ${round(refusals ?? NaN, 0)} more`));
});

Deno.test("the size of a kubelet's answer is that of the captured one", () => {
  const text = Deno.readTextFileSync(`${ROOT}/tests/fixtures/kubelet-1.36/systemd/steady/pods.json`);
  const sizes: number[] = JSON.parse(text).items.map((pod: unknown) => JSON.stringify(pod).length).sort(
    (one: number, other: number) => one - other,
  );
  const kilobytes = (bytes: number | undefined) => ((bytes ?? NaN) / 1e3).toFixed(1);
  assert.ok(PROSE.includes(`${kilobytes(text.length / sizes.length)} kB a pod`));
  assert.ok(PROSE.includes(`${kilobytes(sizes[0])} to ${kilobytes(sizes.at(-1))} kB each`));
});

Deno.test("the custom set shown has as many series as is said", () => {
  const [, names = "", count] = /`KPOD_COLLECTORS=([a-z_,]+)` has (\d+) series a container/.exec(PROSE) ?? [];
  const metrics = new Set(
    COLLECTOR_ENTRIES.filter(({ name }) => names.split(",").includes(name)).flatMap(({ descriptors }) =>
      descriptors.map(({ name }) => name)
    ),
  );
  const series = seriesLines(Deno.readTextFileSync(goldenPath("reference_pod.prom"))).filter(({ name }) =>
    metrics.has(name) || metrics.has(name.replace(/_(?:bucket|sum|count)$/, ""))
  );
  assert.equal(Number(count), series.length);
});
