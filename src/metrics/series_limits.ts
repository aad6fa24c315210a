/**
 * Bounds on the series that pods may have. What is left out depends on nothing but what there is, so that it is the same
 * from cycle to cycle: label sets, in all families that have them, and at last whole pods. What is about no pod is never
 * left out.
 */
import { type Descriptor, gauge } from "./descriptor.ts";
import type { Family, Labels, SimpleFamily } from "./family.ts";

export interface SeriesLimitsOptions {
  /** Series that one pod may have. */
  readonly maxPerPod: number;
  /** Series that all pods together may have. */
  readonly max: number;
}

/** Series left out of a cycle, by what they were too much for. */
export interface LeftOut {
  readonly pod: number;
  readonly node: number;
  readonly label: number;
  /** `namespace/name` of pods that have not all of their series. */
  readonly pods: readonly string[];
}

const DROPPED = gauge(
  "kpod_series_dropped",
  "Series of pods left out of this answer: of a pod that has too many, of a node that has, or for a label too long.",
  "limit",
);

/** What the agent serves about its limits. */
export const SERIES_LIMITS: readonly Descriptor[] = [DROPPED];

/** UTF-16 code units. The kernel's paths end at 4096 bytes, all other labels are far shorter than either. */
const LONGEST_LABEL = 1024;

/** A pod that was left out comes back when all fit with this part of the room to spare: not to come and go. */
const ROOM_TO_COME_BACK = 0.05;

/** What is said of series left out, at most this often. */
const REPORT_MS = 60_000;

/** Of more pods only the number is told. */
const MOST_NAMES = 5;

/** A message for the log, with what belongs to it. */
export interface LimitReport {
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number>>;
}

/** One pod's series in a cycle. */
interface PodSeries {
  readonly name: string;
  /** All there are, and those that its own limit leaves. */
  count: number;
  left: number;
}

export class SeriesLimits {
  readonly #options: SeriesLimitsOptions;
  /** Those with series, in the order in which they came. */
  readonly #pods = new Map<string, PodSeries>();
  readonly #tooLong: PodSeries = { name: "", count: 0, left: 0 };
  /** Whose series those of a label set are; `null` for nobody's. */
  #owners = new WeakMap<Labels, PodSeries | null>();
  /** Pods left out of the last cycle. */
  #out: ReadonlySet<PodSeries> = new Set();
  #leftOut: LeftOut = { pod: 0, node: 0, label: 0, pods: [] };
  /** What was last reported, and when. */
  #told = "";
  #toldAt = -Infinity;

  constructor({ maxPerPod, max }: SeriesLimitsOptions) {
    this.#options = { maxPerPod: Math.min(maxPerPod, max), max };
  }

  /** What has been left out of the last cycle. */
  get leftOut(): LeftOut {
    return this.#leftOut;
  }

  family(): SimpleFamily {
    const { pod, node, label } = this.#leftOut;
    const samples = Object.entries({ pod, node, label }).map(([limit, value]) => ({
      labels: { limit },
      value,
    }));
    return { ...DROPPED, samples };
  }

  /** The families of one cycle within the limits: the same object, if nothing is left out. */
  apply(families: readonly Family[]): readonly Family[] {
    this.#count(families);
    const pods = [...this.#pods.values()];
    const { maxPerPod } = this.#options;
    const large = pods.filter(({ count }) => count > maxPerPod);
    const refused = this.#refusedSets(families, new Set(large));
    const out = this.#podsOut(pods);
    this.#out = out;
    this.#leftOut = {
      pod: sum(large, ({ count, left }) => count - left),
      node: sum([...out], ({ left }) => left),
      label: this.#tooLong.count,
      pods: [...new Set([...large, ...out])].map(({ name }) => name),
    };
    if (refused.size === 0 && out.size === 0 && this.#tooLong.count === 0) return families;
    return families.map((family) =>
      without(family, (labels) => {
        const owner = this.#ownerOf(labels);
        return owner === this.#tooLong || owner !== null && out.has(owner) || refused.has(labels);
      })
    );
  }

  /**
   * What is to be told when pods have come to a limit, or others than before: once a minute at most.
   *
   * @param now In milliseconds.
   */
  report(now: number): LimitReport | undefined {
    const { pod, node, label, pods } = this.#leftOut;
    const limits = Object.entries({ pod, node, label }).filter(([, series]) => series > 0);
    const told = [...limits.map(([limit]) => limit), ...pods].join(" ");
    if (told === "") this.#told = "";
    if (told === this.#told || now - this.#toldAt < REPORT_MS) return undefined;
    this.#told = told;
    this.#toldAt = now;
    const more = pods.length > MOST_NAMES ? ` and ${pods.length - MOST_NAMES} more` : "";
    return {
      message: "series are left out: raise KPOD_MAX_SERIES_PER_POD or KPOD_MAX_SERIES if they are wanted",
      fields: {
        ...Object.fromEntries(limits.map(([limit, series]) => [`${limit}_limit`, series])),
        ...(pods.length === 0 ? {} : { pods: `${pods.slice(0, MOST_NAMES).join(", ")}${more}` }),
      },
    };
  }

  #count(families: readonly Family[]): void {
    for (const pod of this.#pods.values()) pod.count = 0;
    this.#tooLong.count = 0;
    for (const family of families) {
      const lines = linesOf(family);
      for (const { labels } of family.samples) {
        const owner = this.#ownerOf(labels);
        if (owner !== null) owner.count += lines;
      }
    }
    for (const [key, pod] of this.#pods) {
      pod.left = pod.count;
      if (pod.count > 0) continue;
      this.#pods.delete(key);
      // One that comes back is the youngest.
      this.#owners = new WeakMap();
    }
  }

  #ownerOf(labels: Labels): PodSeries | null {
    const known = this.#owners.get(labels);
    if (known !== undefined) return known;
    const owner = this.#newOwner(labels);
    this.#owners.set(labels, owner);
    return owner;
  }

  #newOwner(labels: Labels): PodSeries | null {
    const { namespace, pod } = labels;
    if (namespace === undefined || pod === undefined) return null;
    if (Object.values(labels).some(({ length }) => length > LONGEST_LABEL)) return this.#tooLong;
    const name = `${namespace}/${pod}`;
    const known = this.#pods.get(name) ?? { name, count: 0, left: 0 };
    this.#pods.set(name, known);
    return known;
  }

  /** The label sets of pods with too many series that find no room, and how many series are left. */
  #refusedSets(families: readonly Family[], large: ReadonlySet<PodSeries>): ReadonlySet<Labels> {
    const refused = new Set<Labels>();
    if (large.size === 0) return refused;
    for (const [pod, sets] of this.#setsOf(families, large)) {
      pod.left = 0;
      let isFull = false;
      for (const [labels, series] of inOrder(sets)) {
        isFull ||= pod.left + series > this.#options.maxPerPod;
        if (isFull) refused.add(labels);
        else pod.left += series;
      }
    }
    return refused;
  }

  /** How many series each label set has. */
  #setsOf(
    families: readonly Family[],
    pods: ReadonlySet<PodSeries>,
  ): ReadonlyMap<PodSeries, ReadonlyMap<Labels, number>> {
    const found = new Map<PodSeries, Map<Labels, number>>();
    for (const family of families) {
      const lines = linesOf(family);
      for (const { labels } of family.samples) {
        const owner = this.#ownerOf(labels);
        if (owner === null || !pods.has(owner)) continue;
        const sets = found.get(owner) ?? new Map<Labels, number>();
        found.set(owner, sets.set(labels, (sets.get(labels) ?? 0) + lines));
      }
    }
    return found;
  }

  /** The pods that find no room; the older have theirs. */
  #podsOut(pods: readonly PodSeries[]): ReadonlySet<PodSeries> {
    const { max } = this.#options;
    const out = new Set<PodSeries>();
    if (this.#out.size === 0 && sum(pods, ({ left }) => left) <= max) return out;
    let series = 0;
    for (const pod of pods) {
      const room = this.#out.has(pod) ? max * (1 - ROOM_TO_COME_BACK) : max;
      if (series + pod.left > room) out.add(pod);
      else series += pod.left;
    }
    return out;
  }
}

/** Series of each sample: a histogram has its buckets, sum and count. */
function linesOf(family: Family): number {
  return family.type === "histogram" ? family.bounds.length + 2 : 1;
}

/** Those of containers first, then their devices, mounts and the like, by name. */
function inOrder(sets: ReadonlyMap<Labels, number>): (readonly [Labels, number])[] {
  const keyed = Array.from(sets, ([labels, series]) => {
    const values = Object.values(labels);
    return { labels, series, size: values.length, text: values.join("\0") };
  });
  keyed.sort((one, other) => one.size - other.size || (one.text < other.text ? -1 : 1));
  return keyed.map(({ labels, series }) => [labels, series]);
}

function without(family: Family, isRefused: (labels: Labels) => boolean): Family {
  const kept = <S extends { readonly labels: Labels }>(samples: readonly S[]) =>
    samples.filter(({ labels }) => !isRefused(labels));
  return family.type === "histogram"
    ? { ...family, samples: kept(family.samples) }
    : { ...family, samples: kept(family.samples) };
}

function sum<T>(all: readonly T[], number: (each: T) => number): number {
  return all.reduce((total, each) => total + number(each), 0);
}
