import assert from "node:assert/strict";
import type { Family } from "../../src/metrics/family.ts";
import { cumulativeBuckets, histogramBounds, SLOTS } from "../../src/metrics/histogram.ts";
import type { ExpositionFormat } from "../../src/metrics/registry.ts";
import { openMetricsErrors, rendered, seriesLines } from "../exposition.ts";

const FORMATS: readonly ExpositionFormat[] = ["prometheus", "openmetrics"];
const POD = { namespace: "shop", pod: "web-0", container: "app", node: "node1" };
const HOSTILE = { mountpoint: 'C:\\new "data"\nline', device: "ünïcode/μ", empty: "" };

const SAMPLE_SET: readonly Family[] = [
  {
    type: "histogram",
    name: "kpod_cpu_runqueue_latency_seconds",
    help: "Time a task waited runnable.",
    bounds: histogramBounds("coarse"),
    samples: [POD, { ...POD, pod: "web-1" }].map((labels) => ({
      labels,
      buckets: cumulativeBuckets(Array.from({ length: SLOTS }, (_, slot) => slot * 1e12), "coarse"),
      sum: 9.5367431640625e-7,
    })),
  },
  {
    type: "counter",
    name: "kpod_disk_read_bytes_total",
    help: 'Bytes read, "C:\\new" included.\nSecond line.',
    samples: [{ labels: { ...POD, ...HOSTILE }, value: 2 ** 60 }, { labels: POD, value: 0 }],
  },
  { type: "gauge", name: "kpod_mem_usage_bytes", help: "Memory.", samples: [{ labels: {}, value: -1.5e-9 }] },
  { type: "gauge", name: "kpod_absent", help: "Has no samples.", samples: [] },
];

for (const format of FORMATS) {
  Deno.test(`every label and value survives the ${format} format, in the order given`, async () => {
    const lines = seriesLines(await rendered(SAMPLE_SET, format));
    const simple = lines.filter(({ name }) => !name.startsWith("kpod_cpu"));
    assert.deepEqual(simple, [
      {
        name: "kpod_disk_read_bytes_total",
        labels: Object.entries({ ...POD, ...HOSTILE }),
        value: 2 ** 60,
      },
      { name: "kpod_disk_read_bytes_total", labels: Object.entries(POD), value: 0 },
      { name: "kpod_mem_usage_bytes", labels: [], value: -1.5e-9 },
    ]);
  });

  Deno.test(`a histogram in the ${format} format has its buckets, then sum, then count`, async () => {
    const family: Family = {
      type: "histogram",
      name: "kpod_wait_seconds",
      help: "Waiting.",
      bounds: [2 ** -20, 2 ** -14, 2 ** -13, 0.25, 4, 1e6, Infinity],
      samples: [{ labels: { pod: "a" }, buckets: [0, 1, 1, 2, 3, 4, 7], sum: 123.5 }],
    };
    const text = await rendered([family], format);
    assert.deepEqual(text.split("\n").slice(0, 11), [
      "# HELP kpod_wait_seconds Waiting.",
      "# TYPE kpod_wait_seconds histogram",
      'kpod_wait_seconds_bucket{le="9.5367431640625e-07",pod="a"} 0',
      'kpod_wait_seconds_bucket{le="6.103515625e-05",pod="a"} 1',
      'kpod_wait_seconds_bucket{le="0.0001220703125",pod="a"} 1',
      'kpod_wait_seconds_bucket{le="0.25",pod="a"} 2',
      'kpod_wait_seconds_bucket{le="4.0",pod="a"} 3',
      'kpod_wait_seconds_bucket{le="1e+06",pod="a"} 4',
      'kpod_wait_seconds_bucket{le="+Inf",pod="a"} 7',
      'kpod_wait_seconds_sum{pod="a"} 123.5',
      'kpod_wait_seconds_count{pod="a"} 7',
    ]);
  });

  Deno.test(`a family without samples leaves nothing in the ${format} format`, async () => {
    assert.doesNotMatch(await rendered(SAMPLE_SET, format), /kpod_absent/);
    const nothing = format === "openmetrics" ? "# EOF\n" : "";
    assert.equal(await rendered(SAMPLE_SET.slice(-1), format), nothing);
    assert.equal(await rendered([], format), nothing);
  });

  Deno.test(`two families of one name are refused in the ${format} format`, async () => {
    const [family] = SAMPLE_SET;
    assert.ok(family);
    await assert.rejects(
      rendered([family, { ...family }], format),
      /kpod_cpu_runqueue_latency_seconds/,
    );
  });

  Deno.test(`of many samples each is there once, in order, in the ${format} format`, async () => {
    const numbers = Array.from({ length: 1_000 }, (_, number) => number);
    const labels = numbers.map((number) => ({ number: `${number} µ` }));
    const histogram: Family = {
      type: "histogram",
      name: "kpod_wait_seconds",
      help: "Waiting.",
      bounds: [1, 2, Infinity],
      samples: numbers.map((number, index) => ({
        labels: labels[index] ?? {},
        buckets: [number, number, number],
        sum: number,
      })),
    };
    const gauge: Family = {
      type: "gauge",
      name: "kpod_gauge",
      help: "Gauge.",
      samples: numbers.map((value, index) => ({ labels: labels[index] ?? {}, value })),
    };
    const text = await rendered([histogram, gauge], format);
    assert.equal(text.match(/^# (?!EOF)/gm)?.length, 4);
    const lines = seriesLines(text);
    for (
      const [name, each] of [["kpod_wait_seconds_bucket", 3], ["kpod_wait_seconds_sum", 1], ["kpod_gauge", 1]]
    ) {
      const own = lines.filter((line) => line.name === name);
      assert.deepEqual(own.map(({ value }) => value), numbers.flatMap((number) => Array(each).fill(number)));
      assert.ok(own.every((line) => line.labels.some(([, value]) => value === `${line.value} µ`)), `${name}`);
    }
  });

  Deno.test(`families are not changed by rendering them in the ${format} format`, async () => {
    const before = structuredClone(SAMPLE_SET);
    await rendered(SAMPLE_SET, format);
    assert.deepEqual(SAMPLE_SET, before);
  });
}

Deno.test("OpenMetrics names a counter family without _total, the text format with it", async () => {
  const types = async (format: ExpositionFormat) =>
    (await rendered(SAMPLE_SET, format)).match(/^# TYPE .* counter$/gm);
  assert.deepEqual(await types("prometheus"), ["# TYPE kpod_disk_read_bytes_total counter"]);
  assert.deepEqual(await types("openmetrics"), ["# TYPE kpod_disk_read_bytes counter"]);
});

Deno.test("the OpenMetrics exposition keeps the rules of OpenMetrics", async () => {
  assert.deepEqual(openMetricsErrors(await rendered(SAMPLE_SET, "openmetrics")), []);
  assert.deepEqual(openMetricsErrors(await rendered([], "openmetrics")), []);
});

/** Whether Debian's `prometheus` package, or another source of promtool, is installed. */
const promtool = (() => {
  try {
    return new Deno.Command("promtool", { args: ["--version"] }).outputSync().success;
  } catch {
    return false;
  }
})();

Deno.test({
  name: "promtool finds nothing wrong with the text format",
  ignore: !promtool,
  async fn() {
    const text = await rendered(SAMPLE_SET, "prometheus");
    const child = new Deno.Command("promtool", {
      args: ["check", "metrics"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
    const { code, stdout, stderr } = await child.output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.deepEqual({ code, said }, { code: 0, said: "" });
  },
});
