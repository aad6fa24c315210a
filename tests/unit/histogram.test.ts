import assert from "node:assert/strict";
import { cumulativeBuckets, histogramBounds, SLOTS } from "../../src/metrics/histogram.ts";

/** The kernel's rule, stated independently of the code under test. */
function slotOf(seconds: number): number {
  for (let slot = 0; slot < SLOTS - 1; slot++) if (seconds <= 2 ** (slot - 20)) return slot;
  return SLOTS - 1;
}

Deno.test("coarse bounds are every second power of two, fine bounds all of them", () => {
  const coarse = histogramBounds("coarse");
  const fine = histogramBounds("fine");
  assert.deepEqual([coarse.length, fine.length], [14, 27]);
  assert.deepEqual(coarse.map(Math.log2), [-20, -18, -16, -14, -12, -10, -8, -6, -4, -2, 0, 2, 4, Infinity]);
  assert.deepEqual(fine.map(Math.log2), [...Array.from({ length: 26 }, (_, i) => i - 20), Infinity]);
});

for (const resolution of ["coarse", "fine"] as const) {
  Deno.test(`every ${resolution} bucket counts exactly the observations up to its bound`, () => {
    const observations = Array.from({ length: 30 }, (_, i) => 2 ** (i - 23))
      .flatMap((power) => [power, power * 1.0001, power * 1.5]);
    const slots = new Array<number>(SLOTS).fill(0);
    for (const seconds of observations) slots[slotOf(seconds)]! += 1;
    assert.deepEqual(
      cumulativeBuckets(slots, resolution),
      histogramBounds(resolution).map((bound) => observations.filter((seconds) => seconds <= bound).length),
    );
  });
}

Deno.test("slots may come as 64-bit integers", () => {
  const slots = BigUint64Array.from({ length: SLOTS }, (_, i) => BigInt(i));
  assert.deepEqual(
    cumulativeBuckets(slots, "coarse"),
    cumulativeBuckets(Array.from(slots, Number), "coarse"),
  );
});

Deno.test("a histogram of another size is refused", () => {
  for (const length of [0, 26, 28]) {
    assert.throws(() => cumulativeBuckets(new Array(length).fill(1), "fine"), RangeError);
  }
});
