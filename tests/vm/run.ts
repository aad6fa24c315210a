/**
 * `deno task test:vm [--all] [--rungs] [--write] [KERNEL…] [-- TEST…]`: the kernel tests on other kernels, in virtual
 * machines with pure cgroup v2 and all controllers.
 *
 * Exit codes: 0 every kernel does what it should, 1 one does not, 2 unusable options, 3 this machine cannot run a
 * kernel, 130 interrupted.
 */
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { FOREIGN_TOOLS, installTools, MissingTools, VM_TOOLS } from "../../native/tools.ts";
import { CannotRun } from "../commands.ts";
import { countsLine, sumOf } from "../counts.ts";
import { baseDisk, initialFileSystem, projectDisk } from "./disks.ts";
import { foreignBuild } from "./foreign.ts";
import { type KernelPackage, KERNELS, OWN_ARCHITECTURE } from "./kernels.ts";
import { runMachine } from "./machine.ts";
import { countsOf, type KernelResult, matrixIn, tableOf } from "./matrix.ts";
import { fetchKernel, findEmulator } from "./packages.ts";
import { planFor, shellOf } from "./plan.ts";
import { parseReport, problemsOf, shown } from "./report.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const MATRIX = `${PROJECT}docs/kernels.md`;
const CACHE = `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/kpod-metrics`;
const DEFAULT_KERNEL = "6.1";
/** For all that one machine does; emulation is ten times slower than the machine. */
const LIMIT_MS = 90 * 60_000;
/** For what one machine does where that is not everything. */
const SHORT_LIMIT_MS = 20 * 60_000;

const HELP = `usage: deno task test:vm [OPTION…] [KERNEL…] [-- TEST…]

Runs kernel tests in virtual machines; KERNEL is one or more of ${names()} (default: ${DEFAULT_KERNEL}, with --all
every one). Without options these are the tests that hold each signal to its witness.

  --all       the whole suite, and every rung of every ladder
  --rungs     every rung that the kernel has, besides
  --write     with --all: write what was seen into docs/kernels.md
  --run CMD   run a shell command in the machine instead
  -- TEST…    run these test files instead`;

function names(): string {
  return KERNELS.map(({ name }) => name).join(", ");
}

function options() {
  try {
    const separator = Deno.args.indexOf("--");
    const [own, tests] = separator < 0
      ? [Deno.args, []]
      : [Deno.args.slice(0, separator), Deno.args.slice(separator + 1)];
    const { values, positionals } = parseArgs({
      args: own,
      options: {
        all: { type: "boolean", default: false },
        rungs: { type: "boolean", default: false },
        write: { type: "boolean", default: false },
        run: { type: "string" },
        help: { type: "boolean", default: false },
      },
      allowPositionals: true,
    });
    const { run, ...flags } = values;
    return { ...flags, tests, kernels: positionals, ...run === undefined ? {} : { run } };
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function refuse(problem: string): never {
  console.error(`${problem}\n\n${HELP}`);
  Deno.exit(2);
}

function chosen(wanted: readonly string[], all: boolean): readonly KernelPackage[] {
  if (wanted.length === 0 && all) return KERNELS;
  return (wanted.length === 0 ? [DEFAULT_KERNEL] : wanted).map((name) =>
    KERNELS.find((kernel) => kernel.name === name) ??
      refuse(`Cannot test kernel ${name}: there are ${names()}`)
  );
}

const asked = options();
if (asked.help) {
  console.log(HELP);
  Deno.exit(0);
}
if (asked.write && !asked.all) refuse("Cannot write what was seen: --write goes with --all");
const kernels = chosen(asked.kernels, asked.all);
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, () => stop.abort());
const isForeign = ({ architecture }: KernelPackage) => architecture !== OWN_ARCHITECTURE;
const results: KernelResult[] = [];
const broken: string[] = [];
const unable: string[] = [];
for (const kernel of kernels) {
  if (stop.signal.aborted) break;
  try {
    results.push(await test(kernel));
  } catch (error) {
    const list = error instanceof CannotRun || error instanceof MissingTools ? unable : broken;
    list.push(`${kernel.name}: ${error instanceof Error ? error.message : error}`);
  }
}
for (const problem of broken) console.log(problem);
for (const { kernel, problems } of results) {
  for (const problem of problems) console.log(`${kernel.name}: ${problem}`);
}
for (const reason of unable) console.log(`Cannot test kernel ${reason}`);
if (asked.run === undefined) {
  console.log(tableOf(results));
  const others = { passed: 0, failed: broken.length, skipped: unable.length };
  console.log(countsLine(sumOf([countsOf(results), others])));
}
if (asked.write && !stop.signal.aborted) {
  await Deno.writeTextFile(MATRIX, matrixIn(await Deno.readTextFile(MATRIX), results));
}
const isBad = broken.length > 0 || results.some(({ problems }) => problems.length > 0);
Deno.exit(stop.signal.aborted ? 130 : isBad ? 1 : unable.length > 0 ? 3 : 0);

async function prepare(wanted: KernelPackage): Promise<void> {
  if (Deno.uid() !== 0) throw new CannotRun("its disks are made by root");
  await installTools(VM_TOOLS, isForeign(wanted) ? FOREIGN_TOOLS : []);
  await Deno.mkdir(CACHE, { recursive: true });
}

async function test(wanted: KernelPackage): Promise<KernelResult> {
  console.log(`== ${wanted.name}: making its disks in ${CACHE}`);
  const began = performance.now();
  await prepare(wanted);
  const [emulator, kernel] = [
    await findEmulator(wanted.architecture, CACHE),
    await fetchKernel(wanted, CACHE),
  ];
  const directory = await Deno.makeTempDir({ dir: CACHE, prefix: "machine-" });
  try {
    const stages = shellOf(planFor(wanted, asked));
    const overlays = !isForeign(wanted) ? [] : [await foreignBuild(PROJECT, CACHE, directory)];
    const scripts = {
      "guest.sh": await Deno.readTextFile(`${PROJECT}tests/vm/guest.sh`),
      "stages.sh": stages,
    };
    const base = await baseDisk(wanted.architecture, CACHE);
    const initial = await initialFileSystem(kernel, CACHE, directory);
    const project = await projectDisk(PROJECT, overlays, kernel, scripts, directory);
    console.log(`== ${wanted.name}: Linux ${kernel.release} starts`);
    const { begun, lines } = await runMachine(
      { architecture: wanted.architecture, emulator, image: kernel.image, initial, base, project },
      {
        limitMs: asked.all || asked.rungs ? LIMIT_MS : SHORT_LIMIT_MS,
        show: (line) => print(shown(line)),
        signal: stop.signal,
      },
    );
    const report = parseReport(lines);
    const seconds = Math.round((performance.now() - began) / 1000);
    const problems = begun
      ? problemsOf(report, wanted, asked.run !== undefined)
      : ["the machine does not come up"];
    return { kernel: wanted, release: kernel.release, report, problems, seconds };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function print(line: string | undefined): void {
  if (line !== undefined) console.log(line);
}
