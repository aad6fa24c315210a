/** Properties: statements that hold for all inputs, tried on random ones. A failure names the seed and the input. */
import fc from "fast-check";

/** `KPOD_TEST_RUNS` tries so many inputs for each property, `KPOD_TEST_SEED` others than by default. */
const RUNS = whole("KPOD_TEST_RUNS", 200);
const SEED = whole("KPOD_TEST_SEED", 20_240_229);

/** Tests that `holds` throws for no input. */
export function property<Inputs extends [unknown, ...unknown[]]>(
  name: string,
  inputs: { readonly [index in keyof Inputs]: fc.Arbitrary<Inputs[index]> },
  holds: (...inputs: Inputs) => void | Promise<void>,
): void {
  Deno.test(
    name,
    () =>
      fc.assert(fc.asyncProperty(...inputs, async (...values: Inputs) => await holds(...values)), {
        seed: SEED,
        numRuns: RUNS,
      }),
  );
}

function whole(name: string, otherwise: number): number {
  const text = Deno.env.get(name) ?? String(otherwise);
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new TypeError(`${name}: got "${text}", takes a whole number from 1`);
  }
  return Number(text);
}

/** What the kernel prints as `%llu`: small ones, those about 2^53 and the largest among them. */
export const u64: fc.Arbitrary<bigint> = fc.oneof(
  fc.bigInt(0n, 1000n),
  fc.bigInt(2n ** 53n - 9n, 2n ** 53n + 9n),
  fc.bigInt(0n, 2n ** 64n - 1n),
);

/** Texts of any characters, those among them that mean something to a parser; all of them can be UTF-8. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: fc.constantFrom(..."\"\\\n\r\t\0 #{}=,:/-'<>&aé\u2028😀\uFFFD") }),
  fc.string({ unit: "binary" }),
);

/** The same, and halves of surrogate pairs. */
export const anyUnits: fc.Arbitrary<string> = fc.oneof(
  anyText,
  fc.array(fc.integer({ min: 0xd7fe, max: 0xe001 })).map((units) => String.fromCharCode(...units)),
);

/** Names as the kernel gives keys of its files. */
export const key: fc.Arbitrary<string> = fc.stringMatching(/^[a-z][a-z_]{0,11}$/);

/** `major:minor`. */
export const device: fc.Arbitrary<string> = fc.tuple(fc.nat(4095), fc.nat(1_048_575)).map((numbers) =>
  numbers.join(":")
);

/** An object as literals make them. */
export function record<Record>(
  members: { readonly [name in keyof Record]: fc.Arbitrary<Record[name]> },
): fc.Arbitrary<Record> {
  return fc.record(members, { noNullPrototype: true });
}
