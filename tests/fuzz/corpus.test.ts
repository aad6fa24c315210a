/** Each input that fuzzing has kept, once: under AddressSanitizer and UndefinedBehaviorSanitizer none may fail. */
import assert from "node:assert/strict";
import { fuzzTools, isThere } from "../../native/tools.ts";
import { buildTarget, corpusOf, executionsIn, runTarget, TARGET_NAMES } from "./targets.ts";

const missing = fuzzTools().filter(({ provides }) => !isThere(provides));

if (missing.length > 0) {
  const packages = missing.map((tool) => tool.package).join(", ");
  console.error(`No inputs are tried on the native library under sanitizers: that needs ${packages}`);
}

for (const target of TARGET_NAMES) {
  Deno.test(`${target}: no kept input fails`, { ignore: missing.length > 0 }, async () => {
    const inputs = [...Deno.readDirSync(corpusOf(target))].length;
    assert.ok(inputs > 0);
    const { success, said } = await runTarget(
      await buildTarget(target),
      ...["-runs=0", "-print_final_stats=1", corpusOf(target)],
    );
    assert.ok(success, said);
    // The empty one besides; what leaves a thread behind may be run again.
    assert.ok((executionsIn(said) ?? 0) > inputs, said);
  });
}
