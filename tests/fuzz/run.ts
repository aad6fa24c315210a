/**
 * `deno task fuzz [--seconds N] [--keep] [TARGET…]`: tries inputs on the native library, with AddressSanitizer and
 * UndefinedBehaviorSanitizer, N seconds for each target. What a run has found is where the next goes on; with `--keep`
 * the inputs that reach code no other does are added to those that are committed and run with the tests.
 */
import { parseArgs } from "node:util";
import { BUILD_TOOLS, ensureTools, fuzzTools } from "../../native/tools.ts";
import {
  BUILD,
  buildTarget,
  corpusOf,
  executionsIn,
  runTarget,
  type Target,
  TARGET_NAMES,
} from "./targets.ts";

const DEFAULT_SECONDS = "60";
/** Inputs that are longer reach nothing more. */
const LONGEST = 2048;

const { seconds, keep, targets } = settings();
await ensureTools(BUILD_TOOLS);
await ensureTools(fuzzTools());
let failed = 0;
for (const target of targets) {
  const program = await buildTarget(target);
  const found = `${BUILD}/corpus/${target}`;
  await Deno.mkdir(found, { recursive: true });
  await Deno.mkdir(corpusOf(target), { recursive: true });
  const began = performance.now();
  const { success, said } = await runTarget(
    program,
    `-max_total_time=${seconds}`,
    `-max_len=${LONGEST}`,
    "-print_final_stats=1",
    found,
    corpusOf(target),
  );
  const took = Math.round((performance.now() - began) / 1000);
  console.log(
    `${target}: ${executionsIn(said) ?? "some"} executions in ${took} s, ${success ? "ok" : "FAILED"}`,
  );
  if (!success) {
    failed++;
    console.error(said.slice(-4000));
    console.error(`The input is in ${program}-*; "${program} INPUT" runs it again`);
  } else if (keep) {
    // By what is reached alone, however often: else they would be many.
    await runTarget(program, "-merge=1", "-use_counters=0", corpusOf(target), found);
  }
}
Deno.exit(failed === 0 ? 0 : 1);

function settings() {
  try {
    const { values, positionals } = parseArgs({
      options: { seconds: { type: "string", default: DEFAULT_SECONDS }, keep: { type: "boolean" } },
      allowPositionals: true,
    });
    if (!/^[1-9]\d*$/.test(values.seconds)) {
      throw new TypeError(`--seconds: got "${values.seconds}", takes a whole number from 1`);
    }
    const unknown = positionals.find((name) => !TARGET_NAMES.some((target) => target === name));
    if (unknown !== undefined) {
      throw new TypeError(`Cannot fuzz "${unknown}"; the targets are ${TARGET_NAMES.join(", ")}`);
    }
    return {
      seconds: values.seconds,
      keep: values.keep ?? false,
      targets: positionals.length > 0 ? positionals as Target[] : TARGET_NAMES,
    };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    console.error(error.message);
    Deno.exit(2);
  }
}
