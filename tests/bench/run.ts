/** `deno task bench`: measures what the agent costs, each figure beside its reference; see arguments.ts. */
import { cpus, loadavg, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { BENCH_TOOLS, ensureTools, LAB_TOOLS, unpackTools } from "../../native/tools.ts";
import { AGENT_BENCHMARKS } from "./agent.ts";
import { type Arguments, helpText, parseArguments } from "./arguments.ts";
import { KERNEL_BENCHMARKS } from "./kernel.ts";
import type { Benchmark } from "./measure.ts";
import { figureTable, json, page, type Result } from "./report.ts";

const BENCHMARKS = [...KERNEL_BENCHMARKS, ...AGENT_BENCHMARKS];
const NAMES = BENCHMARKS.map(({ name }) => name);
const PAGE = fileURLToPath(new URL("../../docs/benchmarks.md", import.meta.url));
const TOOLS = fileURLToPath(new URL("../build/tools", import.meta.url));

const interruption = new AbortController();

function readArguments(): Arguments {
  try {
    return parseArguments(Deno.args, NAMES);
  } catch (error) {
    console.error(`${messageOf(error)}\nSee deno task bench --help`);
    Deno.exit(2);
  }
}

/** What is under way gives up and cleans up; asked again, the process ends at once. */
function interrupt(): void {
  if (interruption.signal.aborted) Deno.exit(130);
  console.error("Interrupted: cleaning up");
  interruption.abort();
}

async function measure(benchmarks: readonly Benchmark[]): Promise<Result[]> {
  const results: Result[] = [];
  for (const benchmark of benchmarks) {
    if (interruption.signal.aborted) break;
    console.error(`Measuring ${benchmark.name} (${results.length + 1} of ${benchmarks.length})`);
    try {
      results.push({ benchmark, figure: await benchmark.run(interruption.signal) });
    } catch (error) {
      results.push({ benchmark, failure: messageOf(error) });
    }
  }
  return results;
}

/** Writes figures into a file; once before they are measured, so that it is known at once when that cannot be. */
function writeJson(path: string | undefined, results: readonly Result[]): void {
  try {
    if (path !== undefined) Deno.writeTextFileSync(path, json(results));
  } catch (error) {
    console.error(`Cannot write ${path}: ${messageOf(error)}`);
    Deno.exit(2);
  }
}

async function writePage(results: readonly Result[], loadBefore: number): Promise<void> {
  const machine = {
    cpu: cpus()[0]?.model ?? "an unknown CPU",
    cpus: cpus().length,
    memoryBytes: totalmem(),
    kernel: Deno.osRelease(),
    load: [loadBefore, loadNow()],
  } as const;
  await Deno.writeTextFile(PAGE, page(results, machine));
  console.error(`Wrote ${PAGE}`);
}

function loadNow(): number {
  return loadavg()[0] ?? NaN;
}

/** What went wrong; where cleaning up went wrong as well, both. */
function messageOf(error: unknown): string {
  if (error instanceof SuppressedError) return `${messageOf(error.suppressed)}; ${messageOf(error.error)}`;
  return error instanceof Error ? error.message : String(error);
}

async function main({ help, only, json: file }: Arguments): Promise<number> {
  if (help) {
    console.log(helpText(NAMES));
    return 0;
  }
  if (Deno.uid() !== 0) {
    console.error("Cannot measure: only root may load eBPF programs and make cgroups; run it as root");
    return 2;
  }
  writeJson(file, []);
  await ensureTools(LAB_TOOLS);
  Deno.env.set("PATH", await unpackTools(BENCH_TOOLS, TOOLS));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(signal, interrupt);

  const before = loadNow();
  const results = await measure(
    only.length === 0 ? BENCHMARKS : BENCHMARKS.filter(({ name }) => only.includes(name)),
  );
  if (interruption.signal.aborted) return 130;
  console.log(figureTable(results));
  writeJson(file, results);
  const failed = results.filter((result) => "failure" in result).length;
  if (only.length === 0 && failed === 0) await writePage(results, before);
  else if (only.length === 0) console.error(`${PAGE} is left as it was: ${failed} could not run`);
  return failed === 0 ? 0 : 1;
}

Deno.exit(await main(readArguments()));
