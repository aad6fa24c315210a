/** Label sets that live as long as the series they are of. */
import type { Labels } from "./family.ts";

/** A set with more sets made of it than this begins anew: what made the old ones is long gone (mounts, devices). */
const MOST_DERIVED = 1000;

const derived = new WeakMap<Labels, Map<string, Labels>>();

/**
 * `base` with one more label behind the others: the same object for the same three, as long as there is `base`. The
 * registry remembers the text of each object, and the collector of garbage has to look at every object that is made.
 */
export function withLabel(base: Labels, name: string, value: string): Labels {
  const sets = derived.get(base) ?? new Map<string, Labels>();
  derived.set(base, sets);
  const key = `${name}=${value}`;
  const known = sets.get(key);
  if (known !== undefined) return known;
  if (sets.size >= MOST_DERIVED) sets.clear();
  const labels = Object.freeze({ ...base, [name]: value });
  sets.set(key, labels);
  return labels;
}
