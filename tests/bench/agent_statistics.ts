/** What samples say, apart from their median. */

/** The value that `share` (0 to 1) of the values do not exceed, by the nearest rank; throws where there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new RangeError("Cannot take a percentile: nothing was measured");
  return value;
}

/** How much `values` grow from one to the next, by least squares; throws where there are fewer than two. */
export function slope(values: readonly number[]): number {
  if (values.length < 2) {
    throw new RangeError(`Cannot fit a line: got ${values.length} values, not two or more`);
  }
  const middle = (values.length - 1) / 2;
  let products = 0, squares = 0;
  values.forEach((value, index) => {
    products += (index - middle) * value;
    squares += (index - middle) ** 2;
  });
  return products / squares;
}
