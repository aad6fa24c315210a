import assert from "node:assert/strict";
import { Btf } from "../../src/native/btf.ts";

/** Kinds of include/uapi/linux/btf.h. */
const INT = 1,
  POINTER = 2,
  ARRAY = 3,
  STRUCT = 4,
  UNION = 5,
  ENUM = 6,
  FORWARD = 7,
  TYPEDEF = 8,
  VOLATILE = 9;
const CONST = 10, RESTRICT = 11, FUNCTION = 12, PROTOTYPE = 13, VARIABLE = 14, SECTION = 15, FLOAT = 16;
const DECLARATION_TAG = 17, TYPE_TAG = 18, ENUM64 = 19;

/** One type: kind, name, size or type id, its number of items, and the words that follow. */
type TypeWords = readonly [kind: number, name: string, sizeOrType: number, items?: number, more?: Words];
/** Numbers, and names that are replaced by their offset. */
type Words = readonly (number | string)[];

/** Raw little-endian BTF of these types, whose ids count from one. */
function btf(...types: readonly TypeWords[]): Uint8Array {
  let strings = "\0";
  const offset = (name: string) => {
    if (!strings.includes(`\0${name}\0`)) strings += `${name}\0`;
    return strings.indexOf(`\0${name}\0`) + 1;
  };
  const words = types.flatMap(([kind, name, sizeOrType, items = 0, more = []]) => [
    name === "" ? 0 : offset(name),
    kind << 24 | items,
    sizeOrType,
    ...more.map((word) => typeof word === "string" ? offset(word) : word),
  ]);
  const raw = new Uint8Array(24 + 4 * words.length + strings.length);
  const view = new DataView(raw.buffer);
  view.setUint16(0, 0xeb9f, true);
  view.setUint8(2, 1);
  [24, 0, 4 * words.length, 4 * words.length, strings.length].forEach((word, index) =>
    view.setUint32(4 + 4 * index, word, true)
  );
  words.forEach((word, index) => view.setInt32(24 + 4 * index, word, true));
  raw.set(new TextEncoder().encode(strings), 24 + 4 * words.length);
  return raw;
}

/** A `.maps` section with one map, `counts`, of the types with these ids. */
function map(key: number, value: number, ...types: readonly TypeWords[]): Uint8Array {
  const next = types.length + 1;
  return btf(
    ...types,
    [POINTER, "", key],
    [POINTER, "", value],
    [STRUCT, "", 16, 2, ["key", next, 0, "value", next + 1, 64]],
    [VARIABLE, "counts", next + 2, 0, [1]],
    [SECTION, ".maps", 16, 1, [next + 3, 0, 16]],
  );
}

const U64: TypeWords = [INT, "unsigned long long", 8, 0, [64]];

const LAYOUTS: readonly (readonly [title: string, value: number, types: readonly TypeWords[], unknown])[] = [
  ["an unsigned number", 1, [U64], "u64"],
  ["a signed number", 2, [U64, [INT, "int", 4, 0, [32]]], "s32"],
  ["a byte", 2, [U64, [INT, "unsigned char", 1, 0, [8]]], "u8"],
  ["a typedef", 2, [U64, [TYPEDEF, "u64", 1]], "u64"],
  ["a typedef of what is volatile", 3, [U64, [VOLATILE, "", 1], [TYPEDEF, "u64", 2]], "u64"],
  ["an enum", 2, [U64, [ENUM, "states", 4, 2, ["ON", 0, "OFF", 1]]], "u32"],
  ["an array", 2, [U64, [ARRAY, "", 0, 0, [1, 1, 27]]], "u64[27]"],
  ["text", 3, [U64, [INT, "char", 1, 0, [8]], [ARRAY, "", 0, 0, [2, 1, 128]]], "char[128]"],
  [
    "a record with padding",
    3,
    [U64, [INT, "unsigned int", 4, 0, [32]], [STRUCT, "pair", 16, 2, ["first", 2, 0, "second", 1, 64]]],
    { name: "pair", size: 16, members: [["first", "u32", 0], ["second", "u64", 8]] },
  ],
  [
    "a record in a record",
    3,
    [U64, [STRUCT, "pair", 16, 2, ["one", 1, 0, "two", 1, 64]], [
      STRUCT,
      "outer",
      24,
      2,
      ["first", 1, 0, "rest", 2, 64],
    ]],
    {
      name: "outer",
      size: 24,
      members: [["first", "u64", 0], ["rest_one", "u64", 8], ["rest_two", "u64", 16]],
    },
  ],
];

for (const [title, value, types, layout] of LAYOUTS) {
  Deno.test(`a map's value may be ${title}`, () => {
    assert.deepEqual(new Btf(map(1, value, ...types)).mapLayouts(), {
      counts: { key: "u64", value: layout },
    });
  });
}

Deno.test("an object without maps has no layouts", () => {
  assert.deepEqual(new Btf(btf(U64)).mapLayouts(), {});
});

Deno.test("every kind of type may be there", () => {
  const kinds: readonly TypeWords[] = [
    [POINTER, "", 1],
    [UNION, "either", 8, 1, ["one", 1, 0]],
    [FORWARD, "later", 0],
    [CONST, "", 1],
    [RESTRICT, "", 1],
    [FUNCTION, "sched_switch", 8, 1],
    [PROTOTYPE, "", 1, 2, ["a", 1, "b", 1]],
    [FLOAT, "double", 8],
    [DECLARATION_TAG, "tag", 1, 0, [0]],
    [TYPE_TAG, "rcu", 1],
    [ENUM64, "wide", 8, 1, ["HIGH", 1, 1]],
  ];
  const raw = map(1, 2 + kinds.length, U64, ...kinds, [TYPEDEF, "last", 1]);
  assert.deepEqual(new Btf(raw).mapLayouts(), { counts: { key: "u64", value: "u64" } });
});

Deno.test("a view into a larger buffer is read like a buffer of its own", () => {
  const raw = map(1, 1, U64);
  const larger = new Uint8Array(raw.length + 32);
  larger.set(raw, 16);
  const view = larger.subarray(16, 16 + raw.length);
  assert.deepEqual(new Btf(view).mapLayouts(), new Btf(raw).mapLayouts());
});

Deno.test("an enum's names come in the order of its values", () => {
  const raw = btf([ENUM, "maps", 4, 3, ["TCP", 0, "OOM", 1, "SYSCALL", 2]]);
  assert.deepEqual(new Btf(raw).enumNames("maps"), ["TCP", "OOM", "SYSCALL"]);
});

Deno.test("an enum that is not there, or has a gap, is refused", () => {
  const parsed = new Btf(btf([ENUM, "maps", 4, 2, ["TCP", 0, "OOM", 2]]));
  assert.throws(() => parsed.enumNames("maps"), { name: "TypeError", message: /gap at 1/ });
  assert.throws(() => parsed.enumNames("others"), { name: "TypeError", message: /no enum others/ });
});

Deno.test("BTF that is cut short anywhere is refused", () => {
  const raw = map(1, 1, U64);
  for (let length = 0; length < raw.length; length++) {
    assert.throws(() => new Btf(raw.slice(0, length)), TypeError, `${length} bytes`);
  }
});

function changed(raw: Uint8Array, offset: number, byte: number): Uint8Array {
  const copy = raw.slice();
  copy[offset] = byte;
  return copy;
}

const MALFORMED: readonly (readonly [title: string, raw: Uint8Array, message: RegExp])[] = [
  ["no BTF at all", new TextEncoder().encode("\x7fELF".padEnd(64, "\0")), /magic number/],
  ["big-endian BTF", changed(changed(btf(U64), 0, 0xeb), 1, 0x9f), /magic number/],
  ["a type of no known kind", btf([30, "new", 0]), /type 1 is cut short or of no known kind/],
  ["a record with more members than there are bytes", btf([STRUCT, "big", 8, 9]), /type 1 is cut short/],
  ["a name that is not there", changed(btf(U64), 24, 200), /no name at 200/],
  ["a value of a type that is not there", map(1, 99, U64), /no type 99/],
  ["a typedef of itself", map(1, 2, U64, [TYPEDEF, "ouroboros", 2]), /refers to itself/],
  ["an array of itself", map(1, 2, U64, [ARRAY, "", 0, 0, [2, 1, 2]]), /refers to itself/],
  ["a record of itself", map(1, 2, U64, [STRUCT, "doll", 8, 1, ["inner", 2, 0]]), /refers to itself/],
  ["a pointer as value", map(1, 2, U64, [POINTER, "", 1]), /neither a number nor an array/],
  ["a floating-point value", map(1, 2, U64, [FLOAT, "double", 8]), /double is neither/],
  [
    "a map without a value",
    btf(U64, [POINTER, "", 1], [STRUCT, "", 8, 1, ["key", 2, 0]], [VARIABLE, "counts", 3, 0, [1]], [
      SECTION,
      ".maps",
      8,
      1,
      [4, 0, 8],
    ]),
    /map counts has no value/,
  ],
];

for (const [title, raw, message] of MALFORMED) {
  Deno.test(`${title} is refused with a TypeError`, () => {
    assert.throws(() => new Btf(raw).mapLayouts(), { name: "TypeError", message });
  });
}
