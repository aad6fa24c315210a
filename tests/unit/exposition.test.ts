import assert from "node:assert/strict";
import { findDuplicateSeries, openMetricsErrors } from "../exposition.ts";

Deno.test("duplicate series are found whatever the order of their labels", () => {
  const text = 'a{x="1",y="2"} 1\na{y="2",x="1"} 2\na{x="1"} 1\nb{x="1"} 1\nb{x="1\\n"} 1\nc 1\nc 1\n';
  assert.deepEqual(findDuplicateSeries(text), ['a{x="1",y="2"}', "c{}"]);
});

const HISTOGRAM =
  '# TYPE h histogram\nh_bucket{le="1.0"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n# EOF\n';

for (
  const [what, text, expected] of [
    ["a missing end", "# TYPE a gauge\na 1\n", /EOF/],
    ["an empty line", "# TYPE a gauge\n\na 1\n# EOF\n", /cannot read/],
    ["a counter sample without _total", "# TYPE a counter\na 1\n# EOF\n", /does not belong/],
    ["a counter family with _total", "# TYPE a_total counter\na_total 1\n# EOF\n", /does not belong/],
    ["a negative counter", "# TYPE a counter\na_total -1\n# EOF\n", /is -1/],
    ["a split family", "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\na 2\n# EOF\n", /one piece/],
    ["a bare quote in HELP", '# HELP a "b"\n# TYPE a gauge\na 1\n# EOF\n', /not escaped/],
    ["an unescaped backslash", '# TYPE a gauge\na{b="\\x"} 1\n# EOF\n', /cannot read/],
    ["a repeated label", '# TYPE a gauge\na{b="1",b="2"} 1\n# EOF\n', /label is repeated/],
    ["a repeated series", "# TYPE a gauge\na 1\na 1\n# EOF\n", /series a\{\} is repeated/],
    ["a value that is no number", "# TYPE a gauge\na one\n# EOF\n", /cannot read/],
    ["buckets that shrink", HISTOGRAM.replace('"1.0"} 1', '"1.0"} 3'), /not cumulative/],
    ["a missing +Inf bucket", HISTOGRAM.replace('h_bucket{le="+Inf"} 2\n', ""), /not \+Inf/],
    ["a count unlike the +Inf bucket", HISTOGRAM.replace("h_count 2", "h_count 4"), /_count of/],
    ["bounds out of order", HISTOGRAM.replace("1.0", "+Inf"), /ascend/],
    ["an integer bound", HISTOGRAM.replace("1.0", "1"), /float/],
  ] as const
) {
  Deno.test(`the OpenMetrics checker objects to ${what}`, () => {
    assert.match(openMetricsErrors(text).join("\n"), expected);
  });
}

Deno.test("the OpenMetrics checker accepts a plain histogram", () => {
  assert.deepEqual(openMetricsErrors(HISTOGRAM), []);
});
