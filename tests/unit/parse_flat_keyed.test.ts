import assert from "node:assert/strict";
import { parseFlatKeyed } from "../../src/parse/flat_keyed.ts";
import { kernelFile, LIMITED, WRITER } from "./kernel_files.ts";

Deno.test("a throttled container's cpu.stat is read", () => {
  assert.deepEqual(
    [...parseFlatKeyed(kernelFile(LIMITED, "cpu.stat"))],
    [
      ["usage_usec", 3208241],
      ["user_usec", 278801],
      ["system_usec", 2929439],
      ["nice_usec", 0],
      ["nr_periods", 609],
      ["nr_throttled", 201],
      ["throttled_usec", 9414578],
      ["nr_bursts", 0],
      ["burst_usec", 0],
    ],
  );
});

Deno.test("a container's memory.stat is read", () => {
  const text = kernelFile(WRITER, "memory.stat");
  const values = parseFlatKeyed(text);
  assert.equal(values.size, text.split("\n").length - 1);
  assert.equal(values.get("anon"), 118784);
  assert.equal(values.get("file"), 1060864);
  assert.equal(values.get("inactive_file"), 1060864);
  assert.equal(values.get("pgfault"), 18684);
});

Deno.test("a container's memory.events is read", () => {
  assert.deepEqual(Object.fromEntries(parseFlatKeyed(kernelFile(WRITER, "memory.events"))), {
    low: 0,
    high: 0,
    max: 0,
    oom: 0,
    oom_kill: 0,
    oom_group_kill: 0,
  });
});

Deno.test("of a repeated key the first value stands", () => {
  assert.deepEqual([...parseFlatKeyed("anon 1\nfile 2\nanon 3\n")], [["anon", 1], ["file", 2]]);
});

Deno.test("a repeated key whose first value is not understood has its second", () => {
  assert.deepEqual([...parseFlatKeyed("anon -1\nanon 3\n")], [["anon", 3]]);
});
