/** `deno task test`: installs what the tests need, runs them, and ends with one line that counts them. */
import { fileURLToPath } from "node:url";
import { ensureTools, LAB_TOOLS, TEST_TOOLS, unpackTools } from "../native/tools.ts";

await ensureTools(LAB_TOOLS);
const path = await unpackTools(TEST_TOOLS, fileURLToPath(new URL("build/tools", import.meta.url)));
const tests = new Deno.Command(Deno.execPath(), {
  args: ["test", "--allow-all", ...(Deno.args.length > 0 ? Deno.args : ["tests"])],
  env: { NO_COLOR: "1", PATH: path },
  stdout: "piped",
}).spawn();
let last = "";
for await (const text of tests.stdout.pipeThrough(new TextDecoderStream())) {
  await Deno.stdout.write(new TextEncoder().encode(text));
  last = (last + text).slice(-4096);
}
const { code } = await tests.status;
const summary =
  /^(?:ok|FAILED) \| (\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed(?: \(\d+ steps?\))?(?: \| (\d+) ignored)?/m
    .exec(last);
if (summary === null) {
  console.error("Cannot count the tests: the runner ended without a summary");
  Deno.exit(code === 0 ? 1 : code);
}
const [, passed, failed, skipped] = summary;
console.log(`${passed} passed, ${failed} failed${skipped === undefined ? "" : `, ${skipped} skipped`}`);
Deno.exit(code);
