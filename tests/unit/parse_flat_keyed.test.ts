import assert from "node:assert/strict";
import { flatKeyedValue } from "../../src/parse/flat_keyed.ts";
import { kernelFile, LIMITED, WRITER } from "./kernel_files.ts";

const FILES: readonly [
  directory: string,
  name: string,
  values: Readonly<Record<string, number | undefined>>,
][] = [
  [LIMITED, "cpu.stat", {
    usage_usec: 3208241,
    user_usec: 278801,
    system_usec: 2929439,
    nice_usec: 0,
    nr_periods: 609,
    nr_throttled: 201,
    throttled_usec: 9414578,
    nr_bursts: 0,
    burst_usec: 0,
    usec: undefined,
    usage: undefined,
  }],
  [WRITER, "memory.stat", {
    anon: 118784,
    file: 1060864,
    inactive_file: 1060864,
    pgfault: 18684,
  }],
  [WRITER, "memory.events", {
    low: 0,
    high: 0,
    max: 0,
    oom: 0,
    oom_kill: 0,
    oom_group_kill: 0,
    kill: undefined,
  }],
];

for (const [directory, name, values] of FILES) {
  Deno.test(`the values of a real ${name} are found by their keys`, () => {
    const text = kernelFile(directory, name);
    for (const [key, value] of Object.entries(values)) assert.equal(flatKeyedValue(text, key), value, key);
  });
}

const TEXTS: readonly [what: string, text: string, value: number | undefined][] = [
  ["of a repeated key the first value stands", "anon 1\nfile 2\nanon 3\n", 1],
  ["a repeated key whose first value is not understood has its second", "anon -1\nanon 3\n", 3],
  ["a key that is the end of another is not taken for it", "inactive_anon 1\nanon 2\n", 2],
  ["a key that is the beginning of another is not taken for it", "anon_thp 1\nanon 2\n", 2],
  ["a key in another's place is none", "file anon 1\n", undefined],
  ["a key that is not there has no value", "file 1\n", undefined],
];

for (const [what, text, value] of TEXTS) {
  Deno.test(what, () => assert.equal(flatKeyedValue(text, "anon"), value));
}
