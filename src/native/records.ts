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

  /** Throws a `TypeError` when koffi would lay the record out differently than the C compiler did. */
  constructor(layout: ScalarLayout | RecordLayout) {
    this.#type = typeof layout === "string" ? scalarType(layout) : recordType(layout);
    this.#size = koffi.sizeof(this.#type);
  }

  /**
   * The record at `index`. Integers are numbers where they are exact and bigints from 2^53 on, as koffi gives
   * them; `numbers()` evens that out.
   */
  decode(bytes: Uint8Array, index: number): unknown {
    return koffi.decode(bytes, index * this.#size, this.#type);
  }
}

/** The same record with every bigint rounded to the nearest number: counters beyond 2^53 lose their last bits. */
export function numbers(record: unknown): Record<string, number | number[]> {
  return Object.fromEntries(
    Object.entries(record as Record<string, number | bigint | (number | bigint)[]>)
      .map(([name, value]) => [name, Array.isArray(value) ? value.map(Number) : Number(value)]),
  );
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
