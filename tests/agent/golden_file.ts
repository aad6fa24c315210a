/** Committed exposition that tests compare whole outputs with; `UPDATE_GOLDEN=1` writes it anew. */
import assert from "node:assert/strict";
import { isOnPath } from "./prometheus.ts";

const DIRECTORY = new URL("../fixtures/golden/", import.meta.url);

/** Where a golden file is. */
export function goldenPath(name: string): string {
  return new URL(name, DIRECTORY).pathname;
}

/** Asserts that `text` is what a golden file says. */
export function assertGolden(name: string, text: string): void {
  const path = goldenPath(name);
  if (Deno.env.get("UPDATE_GOLDEN") === "1") Deno.writeTextFileSync(path, text);
  assert.equal(
    text,
    Deno.readTextFileSync(path),
    `${name} differs; if it should, run this test with UPDATE_GOLDEN=1`,
  );
}

/** For the options of `Deno.test`. */
export const needsPromtool = { ignore: !isOnPath("promtool") };

/** Asserts that promtool finds nothing to say about a golden file. */
export async function assertLinted(name: string): Promise<void> {
  using file = Deno.openSync(goldenPath(name));
  const promtool = new Deno.Command("promtool", {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const [{ code, stdout, stderr }] = await Promise.all([
    promtool.output(),
    file.readable.pipeTo(promtool.stdin),
  ]);
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.deepEqual([code, said], [0, ""]);
}
