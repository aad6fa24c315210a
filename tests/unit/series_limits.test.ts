/** Bounds on the series of pods: what is left out, that it stays the same, and what is said about it. */
import assert from "node:assert/strict";
import type { Family, Labels, SimpleFamily } from "../../src/metrics/family.ts";
import { SeriesLimits } from "../../src/metrics/series_limits.ts";

/** A pod's container, and its mounts. */
interface Spec {
  readonly pod: string;
  readonly container?: string;
  readonly mounts?: number;
}

const BOUNDS = [1, 2, Infinity];
/** Of a container without mounts: two counters and a histogram of three buckets, sum and count. */
const OF_CONTAINER = 2 + BOUNDS.length + 2;
/** Of a mount: two gauges. */
const OF_MOUNT = 2;

function labelsOf({ pod, container = "main" }: Spec): Labels {
  return { namespace: "shop", pod, container, node: "node1" };
}

/** The families of a cycle, one of them about no pod, all label sets made anew. */
function families(...specs: readonly Spec[]): Family[] {
  const bases = specs.map(labelsOf);
  const mounts = specs.flatMap((spec) =>
    Array.from({ length: spec.mounts ?? 0 }, (_, index) => ({
      ...labelsOf(spec),
      mountpoint: `/${String(index).padStart(6, "0")}`,
    }))
  );
  const simple = (type: "counter" | "gauge", name: string, sets: readonly Labels[]): SimpleFamily => ({
    type,
    name,
    help: "",
    samples: sets.map((labels) => ({ labels, value: 1 })),
  });
  return [
    simple("counter", "one_total", bases),
    {
      type: "histogram",
      name: "wait",
      help: "",
      bounds: BOUNDS,
      samples: bases.map((labels) => ({ labels, buckets: [0, 1, 1], sum: 1 })),
    },
    simple("gauge", "capacity", mounts),
    simple("gauge", "usage", mounts),
    simple("counter", "two_total", bases),
    simple("counter", "of_nobody_total", [{}, { reason: "x".repeat(5000) }]),
  ];
}

/** `family pod/container mount` of every sample. */
function samples(all: readonly Family[]): string[] {
  return all.flatMap(({ name, samples }) =>
    samples.map(({ labels: { pod = "", container = "", mountpoint = "" } }) =>
      `${name} ${pod}/${container} ${mountpoint}`
    )
  );
}

function seriesOf(all: readonly Family[], pod: string): number {
  return all.reduce((sum, family) => {
    const lines = family.type === "histogram" ? family.bounds.length + 2 : 1;
    return sum + lines * family.samples.filter(({ labels }) => labels.pod === pod).length;
  }, 0);
}

function podsIn(all: readonly Family[]): string[] {
  return [...new Set(all.flatMap(({ samples }) => samples.flatMap(({ labels }) => labels.pod ?? [])))].sort();
}

Deno.test("within the limits, to the last series, the families are given back as they are", () => {
  const given = families({ pod: "a", mounts: 3 }, { pod: "b" });
  const limits = new SeriesLimits({
    maxPerPod: OF_CONTAINER + 3 * OF_MOUNT,
    max: 2 * OF_CONTAINER + 3 * OF_MOUNT,
  });
  assert.equal(limits.apply(given), given);
  assert.deepEqual(limits.leftOut, { pod: 0, node: 0, label: 0, pods: [] });
});

Deno.test("of a pod with too many series whole label sets are left out, those of its containers last", () => {
  const limits = new SeriesLimits({ maxPerPod: 2 * OF_CONTAINER + 2 * OF_MOUNT + 1, max: 1e6 });
  const side = { pod: "a", container: "side" };
  const limited = limits.apply(families({ pod: "a", mounts: 100 }, side, { pod: "b", mounts: 1 }));
  const expected = families({ pod: "a", mounts: 2 }, side, { pod: "b", mounts: 1 });
  assert.deepEqual(samples(limited).sort(), samples(expected).sort());
  assert.deepEqual(limits.leftOut, { pod: 98 * OF_MOUNT, node: 0, label: 0, pods: ["shop/a"] });
});

for (
  const [what, change] of [
    [
      "the kernel lists them",
      (all: Family[]) => all.map((family) => ({ ...family, samples: family.samples.toReversed() }) as Family),
    ],
    ["the families come", (all: Family[]) => all.toReversed()],
  ] as const
) {
  Deno.test(`what is left out of a pod is the same in whatever order ${what}`, () => {
    const given = families({ pod: "a", mounts: 50 }, { pod: "a", container: "side", mounts: 50 });
    const options = { maxPerPod: 100, max: 1e6 };
    const one = new SeriesLimits(options);
    const first = samples(one.apply(given)).sort();
    assert.deepEqual(samples(one.apply(change(given))).sort(), first);
    assert.deepEqual(samples(new SeriesLimits(options).apply(change(given))).sort(), first);
  });
}

Deno.test("nothing smaller slips in behind a container that finds no room", () => {
  const limits = new SeriesLimits({ maxPerPod: 2 * OF_CONTAINER - 1, max: 1e6 });
  const limited = limits.apply(families({ pod: "a", mounts: 3 }, { pod: "a", container: "side" }));
  assert.deepEqual(samples(limited).filter((sample) => sample.includes(" a/")), [
    "one_total a/main ",
    "wait a/main ",
    "two_total a/main ",
  ]);
});

Deno.test("a pod of a thousand containers has its limit and takes nothing from others", () => {
  const specs = Array.from({ length: 1000 }, (_, index) => ({ pod: "many", container: `c${index}` }));
  const limits = new SeriesLimits({ maxPerPod: 10 * OF_CONTAINER, max: 1e6 });
  const limited = limits.apply(families({ pod: "a" }, ...specs, { pod: "z" }));
  assert.deepEqual(["a", "many", "z"].map((pod) => seriesOf(limited, pod)), [
    OF_CONTAINER,
    10 * OF_CONTAINER,
    OF_CONTAINER,
  ]);
});

Deno.test("of a node with too many series the youngest pods are left out", () => {
  const limits = new SeriesLimits({ maxPerPod: 1e6, max: 3 * OF_CONTAINER });
  const old = ["c", "b", "a"].map((pod) => ({ pod }));
  assert.deepEqual(podsIn(limits.apply(families(...old))), ["a", "b", "c"]);
  const limited = limits.apply(families({ pod: "0-new" }, ...old));
  assert.deepEqual(podsIn(limited), ["a", "b", "c"]);
  assert.deepEqual(limits.leftOut, { pod: 0, node: OF_CONTAINER, label: 0, pods: ["shop/0-new"] });
  const next = limits.apply(families({ pod: "0-new" }, { pod: "b" }, { pod: "c" }));
  assert.deepEqual(podsIn(next), ["b", "c"], "that is room, but none to spare");
  assert.deepEqual(podsIn(limits.apply(families({ pod: "0-new" }, { pod: "c" }))), ["0-new", "c"]);
});

Deno.test("a pod at the brink of the node's limit does not come and go", () => {
  const limits = new SeriesLimits({ maxPerPod: 1e6, max: 1000 });
  const seen = [400, 401, 400, 401, 400].map((mounts) =>
    podsIn(limits.apply(families({ pod: "old", mounts }, { pod: "young", mounts: 93 }))).join()
  );
  assert.deepEqual(seen, ["old,young", "old", "old", "old", "old"]);
});

Deno.test("what a pod is cut down to by its own limit is what counts for the node's", () => {
  const limits = new SeriesLimits({ maxPerPod: 100, max: 150 });
  const limited = limits.apply(families({ pod: "huge", mounts: 5000 }, { pod: "small" }));
  assert.deepEqual(podsIn(limited), ["huge", "small"]);
});

Deno.test("a label longer than any that has to be leaves its series out, and those only", () => {
  const limits = new SeriesLimits({ maxPerPod: 1e6, max: 1e6 });
  const withMount = (mountpoint: string): SimpleFamily => ({
    type: "gauge",
    name: "capacity",
    help: "",
    samples: [{ labels: { ...labelsOf({ pod: "a" }), mountpoint }, value: 1 }],
  });
  const [longest, tooLong] = ["/".padEnd(1024, "x"), "/".padEnd(1025, "x")];
  assert.equal(limits.apply([withMount(longest)])[0]?.samples.length, 1);
  for (let cycle = 0; cycle < 2; cycle++) {
    const limited = limits.apply([withMount(tooLong), ...families({ pod: "a" })]);
    assert.equal(limited[0]?.samples.length, 0);
    assert.equal(seriesOf(limited, "a"), OF_CONTAINER);
    assert.deepEqual(limits.leftOut, { pod: 0, node: 0, label: 1, pods: [] });
  }
});

Deno.test("what is about no pod is never left out", () => {
  const limits = new SeriesLimits({ maxPerPod: 0, max: 0 });
  const limited = limits.apply(families({ pod: "a", mounts: 2 }));
  assert.deepEqual(samples(limited), ["of_nobody_total / ", "of_nobody_total / "]);
});

Deno.test("a pod that has gone leaves its place, and comes back as the youngest", () => {
  const limits = new SeriesLimits({ maxPerPod: 1e6, max: 2 * OF_CONTAINER });
  const labels = new Map(["a", "b", "c"].map((pod) => [pod, labelsOf({ pod })]));
  const cycle = (...pods: string[]): string[] => {
    const sets = pods.map((pod) => labels.get(pod) ?? {});
    const each = (name: string): Family => ({
      type: "gauge",
      name,
      help: "",
      samples: sets.map((set) => ({ labels: set, value: 1 })),
    });
    return podsIn(limits.apply(Array.from({ length: OF_CONTAINER }, (_, index) => each(`g${index}`))));
  };
  assert.deepEqual(cycle("a", "b"), ["a", "b"]);
  assert.deepEqual(cycle("b", "c"), ["b", "c"]);
  assert.deepEqual(cycle("a", "b", "c"), ["b", "c"], "with the same label sets");
});

Deno.test("series left out are served by limit, zero included", () => {
  const limits = new SeriesLimits({ maxPerPod: OF_CONTAINER, max: 1e6 });
  const served = () =>
    Object.fromEntries(limits.family().samples.map(({ labels, value }) => [labels.limit, value]));
  assert.deepEqual(served(), { pod: 0, node: 0, label: 0 });
  limits.apply(families({ pod: "a", mounts: 4 }));
  assert.deepEqual(served(), { pod: 4 * OF_MOUNT, node: 0, label: 0 });
  limits.apply(families({ pod: "a" }));
  assert.deepEqual(served(), { pod: 0, node: 0, label: 0 });
});

Deno.test("it is told when pods come to a limit, or others do, once a minute at most", () => {
  const limits = new SeriesLimits({ maxPerPod: OF_CONTAINER, max: 1e6 });
  const tell = (seconds: number, ...specs: Spec[]) => {
    limits.apply(families(...specs));
    return limits.report(seconds * 1000)?.fields;
  };
  const [a, b] = [{ pod: "a", mounts: 1 }, { pod: "b", mounts: 1 }];
  assert.equal(tell(0, { pod: "a" }), undefined);
  assert.deepEqual(tell(10, a), { pod_limit: OF_MOUNT, pods: "shop/a" });
  assert.equal(tell(20, a, b), undefined, "too early");
  assert.deepEqual(tell(70, a, b), { pod_limit: 2 * OF_MOUNT, pods: "shop/a, shop/b" });
  assert.equal(tell(200, a, b), undefined, "nothing new");
  assert.equal(tell(300, { pod: "a" }), undefined, "nothing left out");
  assert.deepEqual(tell(400, a), { pod_limit: OF_MOUNT, pods: "shop/a" }, "again");
  const many = Array.from({ length: 7 }, (_, index) => ({ pod: `p${index}`, mounts: 1 }));
  assert.match(String(tell(500, ...many)?.pods), /^shop\/p0, .*shop\/p4 and 2 more$/);
});
