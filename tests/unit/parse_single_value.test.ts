import assert from "node:assert/strict";
import { parseSingleValue } from "../../src/parse/single_value.ts";
import { kernelFile, LIMITED, WRITER } from "./kernel_files.ts";

Deno.test("a container's single values are read", () => {
  assert.equal(parseSingleValue(kernelFile(WRITER, "memory.current")), 1474560);
  assert.equal(parseSingleValue(kernelFile(WRITER, "pids.current")), 2);
  assert.equal(parseSingleValue(kernelFile(LIMITED, "memory.max")), 67108864);
});

Deno.test("a limit that is not set has no value", () => {
  assert.equal(parseSingleValue(kernelFile(WRITER, "memory.max")), undefined);
});

const NUMBERS: readonly [text: string, value: number | undefined][] = [
  ["0\n", 0],
  ["9007199254740992\n", 2 ** 53],
  ["9007199254740993\n", 2 ** 53],
  ["9007199254740995\n", 2 ** 53 + 4],
  ["9223372036854775808\n", 2 ** 63],
  ["18446744073709551615\n", 2 ** 64],
  ["18446744073709551616\n", undefined],
  ["99999999999999999999\n", undefined],
  ["100000000000000000000\n", undefined],
];

for (const [text, value] of NUMBERS) {
  Deno.test(`${text.trim()} reads as ${value ?? "nothing, as it has more than 64 bits"}`, () => {
    assert.equal(parseSingleValue(text), value);
  });
}
