/**
 * Kernel histogram slots to `le` buckets.
 *
 * The eBPF side counts an observation of v seconds in slot i (0…25) when 2^(i-21) < v <= 2^(i-20); slot 0
 * also takes everything shorter, and slot 26 everything above 2^5 = 32 s. Bounds are inclusive, as `le` is,
 * so slots add up to buckets without any redistribution.
 */

/** Slots of one histogram in the kernel's map value, the overflow included. */
export const SLOTS = 27;

/** Exponent of the upper bound of slot 0: 2^-20 s ≈ 0.95 µs. */
const LOWEST_EXPONENT = -20;

/** `coarse` keeps every second bound (each four times the last), `fine` all of them. */
export type HistogramResolution = "coarse" | "fine";

/** Slots whose upper bound is served, the overflow last. */
const SERVED_SLOTS: Readonly<Record<HistogramResolution, readonly number[]>> = {
  coarse: slotsEvery(2),
  fine: slotsEvery(1),
};

const BOUNDS: Readonly<Record<HistogramResolution, readonly number[]>> = {
  coarse: Object.freeze(SERVED_SLOTS.coarse.map(upperBound)),
  fine: Object.freeze(SERVED_SLOTS.fine.map(upperBound)),
};

/**
 * Returns the upper bounds in seconds: exact powers of two, ascending, then `Infinity`. `coarse` has 13
 * finite bounds (2^-20, 2^-18, … 2^4), `fine` 26 (2^-20, 2^-19, … 2^5). Always the same array.
 */
export function histogramBounds(resolution: HistogramResolution): readonly number[] {
  return BOUNDS[resolution];
}

/**
 * Returns cumulative counts, one for each of `histogramBounds(resolution)`; the last is the number of all
 * observations. Counts above 2^53 lose their lowest bits, as every float64 sample does.
 *
 * @throws {RangeError} If `slots` has not exactly 27 entries.
 */
export function cumulativeBuckets(
  slots: ArrayLike<number | bigint>,
  resolution: HistogramResolution,
): number[] {
  if (slots.length !== SLOTS) {
    throw new RangeError(`Cannot read a histogram: got ${slots.length} slots, not ${SLOTS}`);
  }
  const buckets: number[] = [];
  let slot = 0;
  let count = 0;
  for (const last of SERVED_SLOTS[resolution]) {
    for (; slot <= last; slot++) count += Number(slots[slot]);
    buckets.push(count);
  }
  return buckets;
}

function slotsEvery(step: number): readonly number[] {
  const served: number[] = [];
  for (let slot = 0; slot < SLOTS - 1; slot += step) served.push(slot);
  return [...served, SLOTS - 1];
}

function upperBound(slot: number): number {
  return slot === SLOTS - 1 ? Infinity : 2 ** (slot + LOWEST_EXPONENT);
}
