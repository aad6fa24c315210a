import assert from "node:assert/strict";
import { withLabel } from "../../src/metrics/labels.ts";

const BASE = { namespace: "shop", pod: "web-0" };

Deno.test("a label goes behind the others", () => {
  assert.deepEqual(Object.entries(withLabel(BASE, "device", "sda")), [
    ["namespace", "shop"],
    ["pod", "web-0"],
    ["device", "sda"],
  ]);
});

Deno.test("the same label on the same set is the same object, which the registry writes once", () => {
  assert.equal(withLabel(BASE, "device", "sda"), withLabel(BASE, "device", "sda"));
});

for (
  const [what, base, name, value] of [
    ["value", BASE, "device", "sdb"],
    ["name", BASE, "disk", "sda"],
    ["base, though an equal one", { ...BASE }, "device", "sda"],
    ["name that looks like a part of the value", BASE, "device=s", "da"],
  ] as const
) {
  Deno.test(`another ${what} is another object`, () => {
    const other = withLabel(base, name, value);
    assert.notEqual(other, withLabel(BASE, "device", "sda"));
    assert.equal(other[name], value);
  });
}

Deno.test("label values that never come back do not stay for ever", () => {
  const first = withLabel(BASE, "mountpoint", "/0");
  for (let i = 1; i <= 1000; i++) withLabel(BASE, "mountpoint", `/${i}`);
  assert.notEqual(withLabel(BASE, "mountpoint", "/0"), first);
});
