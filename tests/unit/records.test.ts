import assert from "node:assert/strict";
import type { MapLayout, RecordLayout } from "../../src/native/btf.ts";
import { LAYOUTS } from "../../src/native/layouts.gen.ts";
import { Decoder, layoutSize, numbers, sameLayout } from "../../src/native/records.ts";

const NAMED: RecordLayout = {
  name: "named",
  size: 40,
  members: [["count", "u32", 0], ["total", "u64", 8], ["slots", "u64[2]", 16], ["name", "char[8]", 32]],
};

/** `count` records, the members of each counted on from its index. */
function named(count: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(NAMED.size * count));
  for (let index = 0; index < count; index++) {
    const at = index * NAMED.size;
    view.setUint32(at, index, true);
    view.setBigUint64(at + 8, 1000n + BigInt(index), true);
    view.setBigUint64(at + 16, 7n, true);
    view.setBigUint64(at + 24, BigInt(index), true);
    new Uint8Array(view.buffer).set(new TextEncoder().encode(`pod${index}`), at + 32);
  }
  return new Uint8Array(view.buffer);
}

for (
  const [layout, size, bytes, value] of [
    ["u8", 1, [255], 255],
    ["u16", 2, [1, 2], 0x201],
    ["u32", 4, [255, 255, 255, 255], 0xffffffff],
    ["s32", 4, [255, 255, 255, 255], -1],
    ["u64", 8, [1, 0, 0, 0, 1, 0, 0, 0], 2 ** 32 + 1],
    ["s64", 8, [254, 255, 255, 255, 255, 255, 255, 255], -2],
    ["u64", 8, [0, 0, 0, 0, 0, 0, 0, 128], 2n ** 63n],
    ["u32[2]", 8, [1, 0, 0, 0, 2, 0, 0, 0], [1, 2]],
    ["char[4]", 4, [0x70, 0x6f, 0x64, 0], "pod"],
  ] as const
) {
  Deno.test(`a ${layout} is read as ${value}`, () => {
    assert.equal(layoutSize(layout), size);
    assert.deepEqual(plain(new Decoder(layout).decode(new Uint8Array(bytes), 0)), value);
  });
}

Deno.test("records that lie one after the other are read by their index", () => {
  const decoder = new Decoder(NAMED);
  const bytes = named(3);
  for (const index of [0, 1, 2]) {
    const record = plain(decoder.decode(bytes, index));
    assert.deepEqual(record, { count: index, total: 1000 + index, slots: [7, index], name: `pod${index}` });
  }
});

Deno.test("a record of counters is read as one that has something else as well, wherever it lies", () => {
  const members = [["a", "u64", 0], ["slots", "u64[3]", 8], ["b", "u64", 32]] as const;
  const counters = new Decoder({ name: "counters", size: 40, members: [...members] });
  const other = new Decoder({ name: "other", size: 48, members: [...members, ["text", "char[8]", 40]] });
  const words = [
    0n,
    1n,
    2n ** 32n - 1n,
    2n ** 32n,
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 53n + 1n,
    2n ** 64n - 1n,
  ];
  const view = new DataView(new ArrayBuffer(40 * words.length + 64));
  for (const offset of [0, 1, 2, 4, 8]) {
    words.forEach((_, index) => {
      for (let word = 0; word < 5; word++) {
        view.setBigUint64(offset + 40 * index + 8 * word, words[(index + word) % words.length] ?? 0n, true);
      }
    });
    words.forEach((_, index) => {
      const from = new Uint8Array(view.buffer, offset);
      const { text: _text, ...expected } = plain(other.decode(from.slice(40 * index), 0)) as Record<
        string,
        unknown
      >;
      assert.deepEqual(numbers(counters.decode(from, index)), numbers(expected), `${index} at ${offset}`);
    });
  }
});

Deno.test("text that fills its room has no terminator to stop at, and ends with it", () => {
  assert.equal(new Decoder("char[4]").decode(new TextEncoder().encode("podspods"), 0), "pods");
});

Deno.test("counters beyond 2^53 become the nearest number", () => {
  const bytes = named(1);
  new DataView(bytes.buffer).setBigUint64(8, 2n ** 60n + 1n, true);
  new DataView(bytes.buffer).setBigUint64(24, 2n ** 54n + 3n, true);
  const { total, slots } = numbers(new Decoder(NAMED).decode(bytes, 0));
  assert.equal(total, 2 ** 60);
  assert.deepEqual(slots, [7, 2 ** 54 + 4]);
});

for (
  const [title, layout, message] of [
    [
      "a member that C would put elsewhere",
      { ...NAMED, members: [["a", "u32", 0], ["b", "u64", 4]] },
      /: b does/,
    ],
    ["a record of another size", { ...NAMED, size: 48 }, /struct named: its size/],
    ["a type that is not known", { ...NAMED, members: [["a", "u128", 0]] }, /u128: it is not a known C type/],
    ["an array of arrays", "u64[2][3]", /u64\[2\]\[3\]: it is not a known C type/],
    ["a number with a length that is none", "u64[x]", /not a known C type/],
  ] as const
) {
  Deno.test(`${title} is refused`, () => {
    assert.throws(() => new Decoder(layout as RecordLayout), { name: "TypeError", message });
  });
}

Deno.test("layouts are the same when every name, type and offset is", () => {
  const layout: MapLayout = { key: "u64", value: NAMED };
  assert.ok(sameLayout(layout, structuredClone(layout)));
  const others: readonly MapLayout[] = [
    { key: "u32", value: NAMED },
    { key: "u64", value: { ...NAMED, name: "other" } },
    { key: "u64", value: { ...NAMED, size: 48 } },
    { key: "u64", value: { ...NAMED, members: NAMED.members.slice(1) } },
    {
      key: "u64",
      value: { ...NAMED, members: NAMED.members.map(([name, type, at]) => [name, type, at + 8]) },
    },
    { key: "u64", value: { ...NAMED, members: NAMED.members.toReversed() } },
  ];
  for (const other of others) assert.ok(!sameLayout(layout, other), JSON.stringify(other));
});

for (const [map, layout] of Object.entries(LAYOUTS) as [string, MapLayout][]) {
  Deno.test(`keys and values of ${map} can be read`, () => {
    for (const part of [layout.key, layout.value]) {
      const zero = new Decoder(part).decode(new Uint8Array(layoutSize(part)), 0);
      if (typeof part === "string") assert.equal(zero, 0);
      else assert.deepEqual(Object.keys(zero as object), part.members.map(([name]) => name));
    }
  });
}

/** koffi's records and arrays with ordinary prototypes, so that they compare. */
function plain(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
}
