/** Which name was probably meant. */

/**
 * Returns the candidate that `word` is most likely a slip for, or undefined if none is near: at most a third of
 * the longer of the two may differ, unless the candidate begins with `word`. Case does not count.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = word.toLowerCase();
  let best: { readonly name: string; readonly distance: number; readonly prefix: number } | undefined;
  for (const name of candidates) {
    const candidate = name.toLowerCase();
    const distance = editDistance(wanted, candidate);
    const prefix = commonPrefix(wanted, candidate);
    const allowed = Math.floor(Math.max(wanted.length, candidate.length) / 3);
    if (distance > allowed && (wanted.length < 3 || prefix < wanted.length)) continue;
    if (best && (distance > best.distance || distance === best.distance && prefix <= best.prefix)) continue;
    best = { name, distance, prefix };
  }
  return best?.name;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one text into the other. */
function editDistance(from: string, to: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] &&
        from[row - 2] === to[column - 1];
      current.push(Math.min(
        at(previous, column) + 1,
        at(current, column - 1) + 1,
        at(previous, column - 1) + (same ? 0 : 1),
        swapped ? at(beforePrevious, column - 2) + 1 : Infinity,
      ));
    }
    [beforePrevious, previous] = [previous, current];
  }
  return at(previous, to.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity;
}

function commonPrefix(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}
