/**
 * `deno task ok`: formatting, lint, types, C formatting, known vulnerabilities and all tests; stops at the first that
 * fails.
 */
import { ensureTools, FORMAT_TOOLS } from "../native/tools.ts";
import { audit } from "../native/supply/audit.ts";

await ensureTools(FORMAT_TOOLS);
const cSources = [
  "bpf",
  "native",
  "tests/lab",
  "tests/lab/workload",
  "tests/kernel",
  "tests/bench",
  "tests/faults",
  "tests/fuzz",
].flatMap((
  directory,
) =>
  [...Deno.readDirSync(directory)]
    .filter(({ name }) => /\.[ch]$/.test(name))
    .map(({ name }) => `${directory}/${name}`)
);
await run("deno", "fmt", "--check");
await run("deno", "lint");
await run("deno", "check", ".");
await run("clang-format", "--dry-run", "--Werror", ...cSources);
await lookForVulnerabilities();
await run("deno", "run", "--allow-all", "tests/run.ts");

/** Where the registry cannot be reached it says so, and the rest goes on. */
async function lookForVulnerabilities(): Promise<void> {
  const { found, said } = await audit(".");
  console.error(`Known vulnerabilities of what is shipped: ${said}`);
  if (!found) return;
  console.error(
    "Packages that are shipped have known vulnerabilities: CONTRIBUTING.md says how to take other versions",
  );
  Deno.exit(1);
}

async function run(program: string, ...args: string[]): Promise<void> {
  const path = program === "deno" ? Deno.execPath() : program;
  const { code } = await new Deno.Command(path, { args }).spawn().status;
  if (code === 0) return;
  console.error(`"${program} ${args.slice(0, 3).join(" ")}" failed`);
  Deno.exit(code);
}
