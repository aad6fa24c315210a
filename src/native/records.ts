/** Turns the bytes of map keys and values into records, by layouts that koffi describes to itself once. */
import koffi from "koffi";
import type { MapLayout, RecordLayout, ScalarLayout } from "./btf.ts";

const C_TYPES: Readonly<Record<string, string>> = {
  char: "char",
  u8: "uint8_t",
  u16: "uint16_t",
  u32: "uint32_t",
  u64: "uint64_t",
  s32: "int32_t",
  s64: "int64_t",
};

/** Size of a key or value in bytes. */
export function layoutSize(layout: ScalarLayout | RecordLayout): number {
  return typeof layout === "string" ? koffi.sizeof(scalarType(layout)) : layout.size;
}

/** Whether two layouts agree in every name, type and offset. */
export function sameLayout(one: MapLayout, other: MapLayout): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Decodes keys or values that lie one after the other. */
export class Decoder {
  readonly #type: ReturnType<typeof koffi.struct>;
  readonly #size: number;
  /** Of a record that is 64-bit counters and nothing else: these are read here, in a quarter of the time. */
  readonly #counters: readonly CounterMember[] | undefined;

  /** Throws a `TypeError` when koffi would lay the record out differently than the C compiler did. */
  constructor(layout: ScalarLayout | RecordLayout) {
    this.#type = typeof layout === "string" ? scalarType(layout) : recordType(layout);
    this.#size = koffi.sizeof(this.#type);
    this.#counters = typeof layout === "string" ? undefined : counterMembers(layout);
  }

  /**
   * The record at `index`. Integers are numbers where they are exact and bigints from 2^53 on, as koffi gives
   * them; `numbers()` evens that out.
   */
  decode(bytes: Uint8Array, index: number): unknown {
    const at = index * this.#size;
    if (this.#counters === undefined || (bytes.byteOffset + at) % 4 !== 0) {
      return koffi.decode(bytes, at, this.#type);
    }
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset + at, this.#size / 4);
    const record: Record<string, unknown> = {};
    for (const { name, word, length } of this.#counters) {
      record[name] = length === undefined ? counterAt(words, word) : countersAt(words, word, length);
    }
    return record;
  }
}

interface CounterMember {
  readonly name: string;
  /** Where its lower half is, in 32-bit words. */
  readonly word: number;
  /** How many there are of it; `undefined` for one by itself. */
  readonly length: number | undefined;
}

function counterMembers({ members }: RecordLayout): CounterMember[] | undefined {
  const counters = members.flatMap(([name, type, offset]) => {
    const [isCounter, length] = /^u64(?:\[(\d+)\])?$/.exec(type) ?? [];
    if (isCounter === undefined || offset % 8 !== 0) return [];
    return [{ name, word: offset / 4, length: length === undefined ? undefined : Number(length) }];
  });
  return counters.length === members.length ? counters : undefined;
}

function countersAt(words: Uint32Array, word: number, length: number): Integer[] {
  const counters: Integer[] = [];
  for (let index = 0; index < length; index++) counters.push(counterAt(words, word + 2 * index));
  return counters;
}

function counterAt(words: Uint32Array, word: number): Integer {
  const [low, high] = [words[word] ?? 0, words[word + 1] ?? 0];
  return high < 2 ** 21 ? high * 2 ** 32 + low : BigInt(high) << 32n | BigInt(low);
}

/** The same record with every bigint rounded to the nearest number: counters beyond 2^53 lose their last bits. */
export function numbers(record: unknown): Record<string, number | number[]> {
  const rounded: Record<string, number | number[]> = {};
  for (const [name, value] of Object.entries(record as Record<string, Integer | Integer[]>)) {
    rounded[name] = Array.isArray(value) ? numbersAmong(value) : Number(value);
  }
  return rounded;
}

type Integer = number | bigint;

/** Mostly they are numbers already. */
function numbersAmong(values: Integer[]): number[] {
  return values.every((value) => typeof value === "number") ? values : values.map(Number);
}

function scalarType(layout: ScalarLayout): ReturnType<typeof koffi.struct> {
  const [, element, length] = /^(\w+)(?:\[(\d+)\])?$/.exec(layout) ?? [];
  const type = C_TYPES[element ?? ""];
  if (type === undefined) throw new TypeError(`Cannot decode ${layout}: it is not a known C type`);
  if (length === undefined) return koffi.types[type as keyof typeof koffi.types] as never;
  return koffi.array(type, Number(length), element === "char" ? "String" : "Array") as never;
}

function recordType(layout: RecordLayout): ReturnType<typeof koffi.struct> {
  const type = koffi.struct(
    Object.fromEntries(layout.members.map(([name, member]) => [name, scalarType(member)])),
  );
  const misplaced = layout.members.find(([name, , offset]) => koffi.offsetof(type, name) !== offset);
  if (misplaced !== undefined || koffi.sizeof(type) !== layout.size) {
    throw new TypeError(
      `Cannot decode struct ${layout.name}: ${misplaced?.[0] ?? "its size"} does not match`,
    );
  }
  return type;
}
