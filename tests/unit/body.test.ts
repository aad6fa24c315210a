import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { gunzipSync, gzipSync } from "node:zlib";
import { type Bytes, gzipped, plain } from "../../src/body.ts";

/** More than is compressed at a time. */
const LONG = 3_000_000;

const TEXTS: readonly (readonly [what: string, pieces: readonly string[]])[] = [
  ["nothing", []],
  ["empty pieces", ["", ""]],
  ["a line", ["kpod_x 1\n"]],
  ["many pieces", Array.from({ length: LONG / 10 }, (_, i) => `kpod_x ${i}\n`)],
  ["one piece longer than what is compressed at a time", ["kpod_x 1\n".repeat(LONG / 9)]],
  [
    "characters of several bytes, at all places",
    ["", "a", "ab", "abc"].map((text) => text + "µ€😀".repeat(LONG / 9)),
  ],
  ["half a character, which is none", ["a\ud83d", "b"]],
];

for (const [what, pieces] of TEXTS) {
  const text = new TextEncoder().encode(pieces.join("\n").toWellFormed());
  const given = () => piecesOf(pieces.map((piece, i) => i === 0 ? piece : `\n${piece}`));

  Deno.test(`a body as it is: ${what}`, async () => {
    assert.ok(areEqual(await plain(given()), text));
  });

  Deno.test(`a body compressed: ${what}`, async () => {
    const compressed = await gzipped(given());
    assert.ok(areEqual(gunzipSync(compressed), text), "node:zlib");
    const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("gzip"));
    assert.ok(areEqual(await new Response(stream).bytes(), text), "the web's");
    const file = Deno.makeTempFileSync();
    try {
      Deno.writeFileSync(file, compressed);
      const options = { input: "", maxBuffer: 10 * LONG };
      const output = execFileSync("gzip", ["--decompress", "--stdout", "--force", file], options);
      assert.ok(areEqual(output, text), "gzip");
    } finally {
      Deno.removeSync(file);
    }
  });
}

Deno.test("a compressed body is about as long as if it had been compressed at once", async () => {
  const lines = Array.from({ length: LONG / 10 }, (_, i) => `kpod_x{pod="${i % 997}"} ${i * i}\n`);
  const atOnce = gzipSync(lines.join(""), { level: 2 });
  const { length } = await gzipped(piecesOf(lines));
  assert.ok(length < 1.02 * atOnce.length, `${length} instead of ${atOnce.length} bytes`);
});

async function* piecesOf(pieces: readonly string[]): AsyncGenerator<string> {
  yield* pieces;
}

/** deepEqual takes minutes to show where two are not. */
function areEqual(one: Uint8Array, other: Bytes): boolean {
  return one.length === other.length && Buffer.compare(one, other) === 0;
}
