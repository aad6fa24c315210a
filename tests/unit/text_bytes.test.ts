import assert from "node:assert/strict";
import { TextBytes } from "../../src/metrics/text_bytes.ts";

for (
  const [what, room, pieces] of [
    ["nothing", 0, []],
    ["no room at first", 0, ["kpod_x 1\n", "kpod_y 2\n"]],
    ["more than there is room for", 4, ["abc", "µ€😀".repeat(1_000), "", "z"]],
    ["characters of three bytes up to the last one of the room", 30, ["€".repeat(10), "€".repeat(11)]],
    ["half a character, which is none", 10, ["a\ud83d", "b"]],
  ] as const
) {
  Deno.test(`text as bytes: ${what}`, () => {
    const bytes = new TextBytes(room);
    for (const piece of pieces) bytes.write(piece);
    assert.deepEqual(
      bytes.written,
      new TextEncoder().encode(pieces.map((piece) => piece.toWellFormed()).join("")),
    );
  });
}
