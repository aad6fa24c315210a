/**
 * `deno task test [--vm] [PATH…]`: installs what the tests need, runs them, and ends with one line that counts them.
 * With `--vm` the tests of each signal on another kernel are among them; a machine that cannot run it skips one.
 */
import { fileURLToPath } from "node:url";
import {
  ensureTools,
  fuzzTools,
  installTools,
  LAB_TOOLS,
  MissingTools,
  TEST_TOOLS,
  unpackTools,
} from "../native/tools.ts";
import { countsIn, countsLine, summaryIn, sumOf, type TestCounts } from "./counts.ts";

const VM = "--vm";

/** As tests/vm/run.ts ends where it can run no kernel. */
const CANNOT_RUN = 3;

await ensureTools(LAB_TOOLS);
// The tests that need them say so where they are skipped.
await installTools(fuzzTools()).catch((error) => console.error(reasonOf(error)));
const path = await unpackTools(TEST_TOOLS, fileURLToPath(new URL("build/tools", import.meta.url)));
const paths = Deno.args.filter((arg) => arg !== VM);
const runs = [await counted(["test", "--allow-all", ...(paths.length > 0 ? paths : ["tests"])], summaryIn)];
if (Deno.args.includes(VM)) {
  const machine = fileURLToPath(new URL("vm/run.ts", import.meta.url));
  runs.push(await counted(["run", "--allow-all", machine], countsIn));
}
console.log(countsLine(sumOf(runs.map(({ counts }) => counts))));
Deno.exit(runs.map(({ code }) => code).find((code) => code !== 0 && code !== CANNOT_RUN) ?? 0);

function reasonOf(error: unknown): string {
  if (error instanceof MissingTools) return error.message;
  throw error;
}

/** Runs Deno, shows what it prints, and counts the tests by it; one failed where it ends without a count. */
async function counted(args: readonly string[], countsOf: (text: string) => TestCounts | undefined) {
  const tests = new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: { NO_COLOR: "1", PATH: path },
    stdout: "piped",
  }).spawn();
  let last = "";
  for await (const text of tests.stdout.pipeThrough(new TextDecoderStream())) {
    await Deno.stdout.write(new TextEncoder().encode(text));
    last = (last + text).slice(-4096);
  }
  const { code } = await tests.status;
  const counts = countsOf(last);
  if (counts !== undefined) return { code, counts };
  console.error(`Cannot count the tests: "deno ${args.join(" ")}" ended without a summary`);
  return { code: code === 0 ? 1 : code, counts: { passed: 0, failed: 1, skipped: 0 } };
}
