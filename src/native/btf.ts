/**
 * Reads the layouts of an object's maps out of its BTF, the type description that the compiler puts into it
 * (https://docs.kernel.org/bpf/btf.html). Used when layouts are generated and again when an object is loaded.
 */

/** A C scalar or array, as `u64`, `u32`, `u64[27]` or `char[128]`. */
export type ScalarLayout = string;

export interface RecordLayout {
  /** The C struct's tag. */
  readonly name: string;
  /** In bytes, padding included. */
  readonly size: number;
  /** Name, type and offset in bytes of each member, in order. */
  readonly members: readonly (readonly [name: string, type: ScalarLayout, offset: number])[];
}

/** What one entry of a map consists of. */
export interface MapLayout {
  readonly key: ScalarLayout | RecordLayout;
  readonly value: ScalarLayout | RecordLayout;
}

interface Type {
  readonly kind: number;
  readonly name: string;
  /** Size in bytes, or the id of the type it refers to. */
  readonly sizeOrType: number;
  readonly members: readonly { name: string; type: number; value: number }[];
}

const KIND = {
  int: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  forward: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  function: 12,
  functionPrototype: 13,
  variable: 14,
  section: 15,
  float: 16,
  declarationTag: 17,
  typeTag: 18,
  enum64: 19,
} as const;

const KINDS: ReadonlySet<number> = new Set(Object.values(KIND));

/** Bytes after the common part of a type, by kind: fixed, and for each of its `vlen` items. */
const EXTRA: Readonly<Record<number, readonly [fixed: number, each: number]>> = {
  [KIND.int]: [4, 0],
  [KIND.array]: [12, 0],
  [KIND.struct]: [0, 12],
  [KIND.union]: [0, 12],
  [KIND.enum]: [0, 8],
  [KIND.functionPrototype]: [0, 8],
  [KIND.variable]: [4, 0],
  [KIND.section]: [0, 12],
  [KIND.declarationTag]: [4, 0],
  [KIND.enum64]: [0, 12],
};

/** Kinds that say something about another type and take no room of their own. */
const TRANSPARENT: ReadonlySet<number> = new Set([
  KIND.typedef,
  KIND.volatile,
  KIND.const,
  KIND.restrict,
  KIND.typeTag,
]);

const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
/** Bytes that every type begins with. */
const COMMON_BYTES = 12;
/** More than any chain of typedefs and arrays in C; one without an end is broken. */
const MAX_DEPTH = 32;

/** The types of one object, by id. */
export class Btf {
  readonly #types: Type[] = [{ kind: 0, name: "void", sizeOrType: 0, members: [] }];

  /** Parses raw little-endian BTF; throws a `TypeError` for anything else. */
  constructor(raw: Uint8Array) {
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    if (raw.length < HEADER_BYTES || view.getUint16(0, true) !== MAGIC) {
      throw new TypeError("Cannot read BTF: its magic number is missing");
    }
    const header = view.getUint32(4, true);
    const types = header + view.getUint32(8, true);
    const typesEnd = types + view.getUint32(12, true);
    const strings = header + view.getUint32(16, true);
    const stringsEnd = strings + view.getUint32(20, true);
    if (Math.max(typesEnd, stringsEnd) > raw.length) throw new TypeError("Cannot read BTF: it is cut short");
    const text = (offset: number) => {
      const start = strings + offset;
      const end = raw.indexOf(0, start);
      if (end < 0 || end >= stringsEnd) throw new TypeError(`Cannot read BTF: there is no name at ${offset}`);
      return new TextDecoder().decode(raw.subarray(start, end));
    };
    for (let at = types; at < typesEnd;) {
      const info = at + COMMON_BYTES <= typesEnd ? view.getUint32(at + 4, true) : 0;
      const kind = (info >>> 24) & 0x1f;
      const count = info & 0xffff;
      const [fixed, each] = EXTRA[kind] ?? [0, 0];
      if (!KINDS.has(kind) || at + COMMON_BYTES + fixed + each * count > typesEnd) {
        throw new TypeError(`Cannot read BTF: type ${this.#types.length} is cut short or of no known kind`);
      }
      const members = [];
      for (let item = 0; item < (each === 0 ? 0 : count); item++) {
        const member = at + COMMON_BYTES + fixed + item * each;
        members.push(
          kind === KIND.section
            ? { name: "", type: view.getUint32(member, true), value: view.getUint32(member + 4, true) }
            : {
              name: text(view.getUint32(member, true)),
              type: view.getUint32(member + 4, true),
              value: each > 8 ? view.getUint32(member + 8, true) : view.getInt32(member + 4, true),
            },
        );
      }
      if (kind === KIND.array) {
        members.push({
          name: "",
          type: view.getUint32(at + 12, true),
          value: view.getUint32(at + 20, true),
        });
      }
      this.#types.push({
        kind,
        name: text(view.getUint32(at, true)),
        sizeOrType: view.getUint32(at + 8, true),
        members,
      });
      at += COMMON_BYTES + fixed + each * count;
    }
  }

  /** The layouts of the maps that the object defines, by map name. */
  mapLayouts(): Record<string, MapLayout> {
    const section = this.#types.find((type) => type.kind === KIND.section && type.name === ".maps");
    const layouts: Record<string, MapLayout> = {};
    for (const { type } of section?.members ?? []) {
      const variable = this.#type(type);
      const definition = this.#resolve(variable.sizeOrType);
      const part = (name: string) => {
        const member = definition.members.find((candidate) => candidate.name === name);
        if (member === undefined) throw new TypeError(`Cannot read BTF: map ${variable.name} has no ${name}`);
        return this.#layout(this.#resolve(member.type).sizeOrType);
      };
      layouts[variable.name] = { key: part("key"), value: part("value") };
    }
    return layouts;
  }

  /** The names of an enum's values in order, when they count from zero without gaps. */
  enumNames(name: string): string[] {
    const found = this.#types.find((type) => type.kind === KIND.enum && type.name === name);
    if (found === undefined) throw new TypeError(`Cannot read BTF: there is no enum ${name}`);
    found.members.forEach((member, index) => {
      if (member.value !== index) throw new TypeError(`Cannot read BTF: enum ${name} has a gap at ${index}`);
    });
    return found.members.map((member) => member.name);
  }

  #type(id: number): Type {
    const type = this.#types[id];
    if (type === undefined) throw new TypeError(`Cannot read BTF: there is no type ${id}`);
    return type;
  }

  /** The type behind typedefs and qualifiers. */
  #resolve(id: number, depth = 0): Type {
    const type = this.#type(id);
    if (depth > MAX_DEPTH) throw new TypeError(`Cannot read BTF: type ${id} refers to itself`);
    return TRANSPARENT.has(type.kind) ? this.#resolve(type.sizeOrType, depth + 1) : type;
  }

  #layout(id: number): ScalarLayout | RecordLayout {
    const type = this.#resolve(id);
    if (type.kind !== KIND.struct) return this.#scalar(id);
    return {
      name: type.name,
      size: type.sizeOrType,
      members: this.#members(type),
    };
  }

  /** A record's members; those of a record in it are called `outer_inner`. */
  #members(record: Type, prefix = "", offset = 0, depth = 0): [string, ScalarLayout, number][] {
    return record.members.flatMap(({ name, type, value }) => {
      const [path, at] = [prefix + name, offset + value / 8];
      const inner = this.#resolve(type, depth);
      return inner.kind === KIND.struct
        ? this.#members(inner, `${path}_`, at, depth + 1)
        : [[path, this.#scalar(type), at]];
    });
  }

  #scalar(id: number, depth = 0): ScalarLayout {
    const type = this.#resolve(id, depth);
    switch (type.kind) {
      case KIND.int:
        return type.name === "char"
          ? "char"
          : `${type.name.includes("unsigned") ? "u" : "s"}${type.sizeOrType * 8}`;
      case KIND.enum:
        return `u${type.sizeOrType * 8}`;
      case KIND.array: {
        const [element] = type.members;
        if (element !== undefined) return `${this.#scalar(element.type, depth + 1)}[${element.value}]`;
      }
    }
    throw new TypeError(
      `Cannot read BTF: type ${type.name || id} is neither a number nor an array of numbers`,
    );
  }
}
