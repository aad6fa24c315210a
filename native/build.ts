/**
 * `deno task build`: eBPF objects, native library, lab workload, generated layouts; only what is out of date.
 *
 * With `--target aarch64 --sysroot DIR --output DIR` the same for that architecture, laid out below another directory,
 * with libbpf from the sysroot.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BPF_FLAGS, C_FLAGS, hardeningFlags } from "./flags.ts";
import { BUILD_TOOLS, ensureTools } from "./tools.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const OBJECTS = ["cpu_sched", "net", "mem", "syscall"].map((name) => `bpf/${name}.bpf.o`);
const LAYOUTS = "src/native/layouts.gen.ts";

const { values: { target: architecture, sysroot = "", output } } = parseArgs({
  options: { target: { type: "string" }, sysroot: { type: "string" }, output: { type: "string" } },
});
/** What else decides how C is compiled. */
const FLAGS = "native/flags.ts";
const MACHINE = architecture ?? Deno.build.arch;
const COMPILER = architecture === undefined ? "gcc" : `${architecture}-linux-gnu-gcc`;
const LIBBPF = architecture === undefined
  ? ["-lbpf"]
  : ["-I", `${sysroot}/usr/include`, "-L", `${sysroot}/usr/lib/${architecture}-linux-gnu`, "-lbpf"];

Deno.chdir(ROOT);
await ensureTools(BUILD_TOOLS);
for (const object of OBJECTS) await makeObject(object, object.replace(/o$/, "c"));
for (const source of sources("tests/kernel", ".bpf.c")) {
  await makeObject(source.replace(/(\w+\.bpf\.)c$/, "build/$1o"), source);
}
await make("native/build/libkpod.so", [FLAGS, ...sources("native", ".c"), ...sources("native", ".h")], [
  COMPILER,
  ...C_FLAGS,
  ...hardeningFlags(MACHINE),
  "-fPIC",
  "-shared",
  "-fvisibility=hidden",
  // Its threads may be stuck in a dead mount for ever.
  "-Wl,-z,nodelete",
  ...sources("native", ".c"),
  ...LIBBPF,
]);
const workload = sources("tests/lab", ".c");
if (workload.length > 0) {
  await make("tests/lab/build/workload", [FLAGS, ...workload, ...sources("tests/lab/workload", ".h")], [
    COMPILER,
    ...C_FLAGS,
    "-O2",
    ...workload,
  ]);
}
if (architecture === undefined) await generate();

/** None where the directory is missing: the container image is built without the tests. */
function sources(directory: string, suffix: string): string[] {
  return entries(directory)
    .filter((entry) => entry.name.endsWith(suffix))
    .map((entry) => `${directory}/${entry.name}`)
    .sort();
}

function entries(directory: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(directory)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function makeObject(object: string, source: string): Promise<void> {
  await make(object, [FLAGS, source, ...sources("bpf", ".h")], [
    "clang",
    ...BPF_FLAGS,
    `-D__TARGET_ARCH_${MACHINE === "aarch64" ? "arm64" : "x86"}`,
    ...["-I", "bpf"],
    "-c",
    source,
  ]);
}

/** Runs `command -o target` unless the target is younger than all its sources. */
async function make(path: string, from: readonly string[], command: readonly string[]): Promise<void> {
  const target = output === undefined ? path : `${output}/${path}`;
  const time = (path: string) => Deno.statSync(path).mtime?.getTime() ?? 0;
  try {
    const made = time(target);
    if (from.every((path) => time(path) < made)) return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  Deno.mkdirSync(target.replace(/\/[^/]*$/, ""), { recursive: true });
  console.error(`building ${target}`);
  const [program = "", ...args] = command;
  const { success } = await new Deno.Command(program, { args: [...args, "-o", target] }).spawn().status;
  if (!success) {
    console.error(`Cannot build ${target}: "${command.join(" ")} -o ${target}" failed`);
    Deno.exit(1);
  }
}

/** Imported only now: it opens the library that was just built. */
async function generate(): Promise<void> {
  const { layoutsModule } = await import("./generate_layouts.ts");
  const text = await formatted(layoutsModule(OBJECTS));
  const current = await Deno.readTextFile(LAYOUTS).catch(() => "");
  if (text !== current) {
    console.error(`generating ${LAYOUTS}`);
    await Deno.writeTextFile(LAYOUTS, text);
  }
}

async function formatted(source: string): Promise<string> {
  const fmt = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "--ext", "ts", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = fmt.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  return new TextDecoder().decode((await fmt.output()).stdout);
}
