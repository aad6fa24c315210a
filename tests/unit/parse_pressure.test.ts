import assert from "node:assert/strict";
import { parsePressure } from "../../src/parse/pressure.ts";
import { kernelFile, ROOT, WRITER } from "./kernel_files.ts";

Deno.test("a container's pressure totals are read in seconds", () => {
  assert.deepEqual(parsePressure(kernelFile(WRITER, "cpu.pressure")), {
    someSeconds: 2.249478,
    fullSeconds: 1.861345,
  });
  assert.deepEqual(parsePressure(kernelFile(WRITER, "io.pressure")), {
    someSeconds: 0.122523,
    fullSeconds: 0.122523,
  });
  assert.deepEqual(parsePressure(kernelFile(WRITER, "memory.pressure")), { someSeconds: 0, fullSeconds: 0 });
});

Deno.test("the root's CPU pressure has a full total that is always 0", () => {
  assert.deepEqual(parsePressure(kernelFile(ROOT, "cpu.pressure")), {
    someSeconds: 125.057664,
    fullSeconds: 0,
  });
});

const KERNELS = [
  {
    what: "cpu.pressure before Linux 5.13, which has no full",
    text: "some avg10=1.00 avg60=0.50 avg300=0.10 total=3000000\n",
    pressure: { someSeconds: 3, fullSeconds: undefined },
  },
  {
    what: "irq.pressure, which has no some",
    text: "full avg10=1.00 avg60=0.50 avg300=0.10 total=500000\n",
    pressure: { someSeconds: undefined, fullSeconds: 0.5 },
  },
  {
    what: "a file that could not be read because PSI is off",
    text: "",
    pressure: { someSeconds: undefined, fullSeconds: undefined },
  },
  {
    what: "fields and lines of a later kernel",
    text: "some avg10=1.00 avg900=0.10 total=1000000 peak=7\nmost total=9\nfull total=2000000\n",
    pressure: { someSeconds: 1, fullSeconds: 2 },
  },
  {
    what: "repeated lines, of which the first stands",
    text: "some total=1000000\nsome total=2000000\n",
    pressure: { someSeconds: 1, fullSeconds: undefined },
  },
  {
    what: "averages that are not numbers, which nobody reads",
    text: "some avg10=NaN avg60= avg300=-1 total=1000000\n",
    pressure: { someSeconds: 1, fullSeconds: undefined },
  },
];

for (const { what, text, pressure } of KERNELS) {
  Deno.test(`pressure is read from ${what}`, () => assert.deepEqual(parsePressure(text), pressure));
}
