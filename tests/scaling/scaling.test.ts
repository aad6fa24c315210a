/** A small simulation, which keeps the large one working; and the example queries of docs/metrics.md, on its data. */
import assert from "node:assert/strict";
import { NOTES } from "../../docs/generate.ts";
import { isOnPath, type Prometheus } from "../agent/prometheus.ts";
import { Scrape } from "../agent/agent.ts";
import { goldenPath } from "../agent/golden_file.ts";
import { needsPrograms } from "../kernel/requirements.ts";
import { record } from "./recording.ts";
import { SimulatedNodes } from "./simulated_nodes.ts";
import { simulate } from "./simulation.ts";

const needsAll = { ignore: needsPrograms.ignore || !isOnPath("prometheus") };

/** Only while the kernel keeps statistics, or with a web configuration. */
const OFTEN_ABSENT = /kpod_bpf_program_run|kpod_web_config/;

/** Operators that leave out what is as it should be. */
const PICKS = / (?:[<>]|==|unless) /;

async function assertExamplesWork(prometheus: Prometheus): Promise<void> {
  for (const [name, { ask: [, query] }] of Object.entries(NOTES)) {
    const found = await prometheus.query(query);
    if (PICKS.test(query) || query.includes('state="unavailable"') || OFTEN_ABSENT.test(query)) continue;
    assert.ok(found.length > 0, `nothing answers the example for ${name}: ${query}`);
  }
}

Deno.test(
  "two simulated nodes are scraped whole, measured, and asked every example query",
  needsAll,
  async () => {
    const recording = await record(2, "comprehensive");
    const figures = await simulate(recording, {
      nodes: 2,
      intervalSeconds: 1,
      scrapes: 3,
      async inspect(prometheus) {
        const { series } = new SimulatedNodes(recording);
        assert.equal(await prometheus.number("min(up)"), 1);
        assert.equal(await prometheus.number("min(scrape_samples_scraped)"), series);
        assert.equal(await prometheus.number('count(count by (node) ({pod!=""}))'), 2);
        await assertExamplesWork(prometheus);
      },
    });
    for (
      const [name, value] of Object.entries({ ...figures, ...figures.scrapeSeconds, ...figures.querySeconds })
    ) {
      if (typeof value === "number") assert.ok(value > 0 && Number.isFinite(value), `${name} is ${value}`);
    }
    assert.ok(figures.headSeries >= 2 * figures.seriesOfNode, `${figures.headSeries} series in the head`);
    assert.ok(figures.gzipBytes < figures.textBytes && figures.movingShare < 1);
  },
);

/** The reference pod twice, the second time with more of everything. */
function grown(): { before: string; after: string } {
  const before = Deno.readTextFileSync(goldenPath("reference_pod.prom"));
  return {
    before,
    after: before.replaceAll(/(?<=^kpod.*\} )\d+$/gm, (value) => String(2 * Number(value) + 1)),
  };
}

Deno.test("a simulated node goes on where the real one was: nothing falls, buckets stay cumulative", () => {
  const nodes = new SimulatedNodes(grown());
  let earlier: Scrape | undefined;
  for (const step of [0, 1, 2, 50]) {
    const scrape = new Scrape(nodes.text(3, step));
    assert.equal(scrape.series.length, nodes.series);
    scrape.series.forEach(({ name, labels, value }, index) => {
      const key = `${name}${JSON.stringify(labels)}`;
      const then = earlier?.series[index]?.value ?? 0;
      assert.ok(/_bytes$|_current$/.test(name) || value >= then, `${key} fell from ${then} to ${value}`);
      const before = scrape.series[index - 1];
      if (!name.endsWith("_bucket") || labels[0]?.[1] === "9.5367431640625e-07") return;
      assert.ok(value >= (before?.value ?? Infinity), `${key} is less than the bucket before`);
    });
    earlier = scrape;
  }
  assert.ok(nodes.moving > nodes.series / 2, `${nodes.moving} of ${nodes.series} series move`);
});

Deno.test("nodes differ in their names, their pods' names and their counts, and in nothing else", () => {
  const nodes = new SimulatedNodes(grown());
  const [one, other] = [nodes.text(1, 0), nodes.text(2, 0)];
  const names = (text: string) => text.replaceAll(/ \S+$/gm, "").replaceAll(/-000\d"/g, '"');
  assert.equal(names(one), names(other));
  assert.match(one, /pod="reference-0001",container="main",node="node1-0001"/);
  assert.notEqual(one, other.replaceAll("-0002", "-0001"));
  assert.equal(one, nodes.text(1, 0), "the same scrape is the same text");
});
