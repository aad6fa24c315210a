/** What is served and logged: no name that a pod or its images choose makes a series, a line or an element of its own. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createLogger, type LogFormat } from "../../src/log.ts";
import type { Family } from "../../src/metrics/family.ts";
import type { ExpositionFormat } from "../../src/metrics/registry.ts";
import { acceptsGzip, chooseFormat } from "../../src/negotiation.ts";
import { renderStatusPage } from "../../src/status_page.ts";
import { openMetricsErrors, rendered, seriesLines } from "../exposition.ts";
import { anyText, anyUnits, property, record } from "./property.ts";

const value = fc.oneof(fc.nat(), fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }));
/** Labels of the kind there are, in the order of the collectors. */
const labels = record({ container: anyUnits, mount_point: anyUnits, device: anyUnits });

for (const format of ["prometheus", "openmetrics"] as const satisfies readonly ExpositionFormat[]) {
  property(`${format}: labels of any text are read back, one series a sample`, [
    fc.array(fc.tuple(labels, value), { minLength: 1, maxLength: 5 }),
  ], async (samples) => {
    const family: Family = {
      name: "kpod_some_bytes_total",
      help: "Some bytes.",
      type: "counter",
      samples: samples.map(([labels, value]) => ({ labels, value })),
    };
    const text = await rendered([family], format);
    const lines = seriesLines(text);
    assert.deepEqual(
      lines.map(({ labels }) => labels),
      samples.map(([labels]) => Object.entries(labels).map(([name, text]) => [name, text.toWellFormed()])),
    );
    assert.deepEqual(
      lines.map(({ name, value }) => [name, value]),
      samples.map(([, value]) => [family.name, value]),
    );
    assert.equal(
      text.split("\n").filter((line) => line.startsWith("#")).length,
      format === "openmetrics" ? 3 : 2,
    );
    if (format === "openmetrics") assert.deepEqual(openMetricsErrors(text), []);
  });

  property(`${format}: so are those of histograms`, [
    labels,
    fc.array(fc.nat(), { minLength: 3, maxLength: 3 }),
  ], async (
    labels,
    counts,
  ) => {
    const [first = 0, second = 0, third = 0] = counts;
    const buckets = [first, first + second, first + second + third];
    const bounds = [2 ** -10, 1, Infinity];
    const family: Family = {
      ...{ name: "kpod_wait_seconds", help: "Waits.", type: "histogram", bounds },
      samples: [{ labels, buckets, sum: third }],
    };
    const lines = seriesLines(await rendered([family], format));
    const shared = Object.values(labels).map((text) => text.toWellFormed());
    assert.deepEqual(lines.map(({ value }) => value), [...buckets, third, buckets[2]]);
    for (const { labels } of lines) {
      assert.deepEqual(labels.filter(([name]) => name !== "le").map(([, text]) => text), shared);
    }
  });
}

for (const format of ["json", "text"] as const satisfies readonly LogFormat[]) {
  property(`${format}: an event is one line, whatever it is of`, [anyUnits, anyUnits], (message, pod) => {
    const lines: string[] = [];
    const log = createLogger("info", format, (line) => lines.push(line), () => new Date(0));
    log.info(message, { pod });
    log.info(message, { pod: "" });
    const [line = "", without = ""] = lines;
    assert.equal(lines.length, 2);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(line, /[\0-\x1f]/);
    if (format === "json") {
      assert.deepEqual(JSON.parse(line), { time: "1970-01-01T00:00:00.000Z", level: "info", message, pod });
    } else {
      assert.doesNotMatch(line, /[\p{Cc}\u2028\u2029]/u);
      const field = line.slice(without.length - '""'.length);
      assert.equal(JSON.parse(field), pod);
      assert.ok(without.endsWith(' pod=""') && line.startsWith(without.slice(0, -'""'.length)), line);
    }
  });
}

property("a text on the status page is text: it adds no element", [anyText, anyText], (detail, reason) => {
  const page = (detail: string, reason: string) =>
    renderStatusPage({
      ...{ version: "1", profile: "standard", kernel: "6.1", uptimeSeconds: 1, targets: 1 },
      collectors: [{ name: "cpu", up: false, detail }],
      signals: [{ signal: "oom", state: "unavailable", hook: "oom_kill", reason }],
    }, ["/metrics"]);
  const marks = (text: string) => text.replaceAll(/[^<>"']/g, "");
  assert.equal(marks(page(detail, reason)), marks(page("", "")));
});

const header = fc.array(
  fc.oneof(
    fc.constantFrom(
      "text/plain",
      "application/openmetrics-text",
      "*/*",
      ",",
      ";",
      "q=",
      "0.5",
      "version=1.0.0",
      "gzip",
    ),
    anyText,
  ),
).map((parts) => parts.join(""));

property("whatever a client accepts, it gets one of the two formats", [header], (header) => {
  assert.ok(["prometheus", "openmetrics"].includes(chooseFormat(header)));
  assert.equal(typeof acceptsGzip(header), "boolean");
});
