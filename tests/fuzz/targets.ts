/** The fuzz targets: how they are built and run. */
import { fileURLToPath } from "node:url";
import { C_FLAGS } from "../../native/flags.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Programs, inputs found so far, and inputs that failed. */
export const BUILD = `${ROOT}tests/build/fuzz`;

/** Which functions a target answers itself, by name of its source. */
const TARGETS = {
  constants: ["bpf_map__initial_value"],
  environment: [],
  file_set: [],
  log: [],
  maps: [],
  processes: [],
  read_file: ["pread"],
  statfs: ["fstatfs"],
  walk: ["fstatat", "readdir", "fstatfs"],
} as const satisfies Record<string, readonly string[]>;

export type Target = keyof typeof TARGETS;

export const TARGET_NAMES = Object.keys(TARGETS) as Target[];

const FLAGS = [
  ...C_FLAGS,
  "-O1",
  "-fsanitize=fuzzer,address,undefined",
  "-fno-sanitize-recover=all",
  "-fno-omit-frame-pointer",
];

/** The committed inputs of a target, one a file. */
export function corpusOf(target: Target): string {
  return `${HERE}corpus/${target}`;
}

/** Compiles a target with all of the native library, and returns the program's path. */
export async function buildTarget(target: Target): Promise<string> {
  await Deno.mkdir(BUILD, { recursive: true });
  const program = `${BUILD}/${target}`;
  const sources = [...Deno.readDirSync(`${ROOT}native`)].map(({ name }) => `${ROOT}native/${name}`)
    .filter((path) => path.endsWith(".c"));
  const { success, stderr } = await new Deno.Command("clang", {
    args: [
      ...FLAGS,
      `-I${ROOT}native`,
      `${HERE}${target}.c`,
      ...sources,
      ...["-lbpf", "-lm"],
      ...TARGETS[target].map((name) => `-Wl,--wrap=${name}`),
      ...["-o", program],
    ],
  }).output();
  if (!success) throw new Error(`Cannot build ${program}:\n${new TextDecoder().decode(stderr)}`);
  return program;
}

/** How a run ended, and what libFuzzer said. */
export interface Run {
  readonly success: boolean;
  readonly said: string;
}

/** Runs a target's program with a directory of its own to make files in. */
export async function runTarget(program: string, ...args: readonly string[]): Promise<Run> {
  const scratch = await Deno.makeTempDir({ prefix: "kpod-fuzz-" });
  try {
    const { success, stderr } = await new Deno.Command(program, {
      args: ["-timeout=20", "-rss_limit_mb=2048", `-artifact_prefix=${program}-`, ...args],
      env: { TMPDIR: scratch },
      stdout: "null",
    }).output();
    return { success, said: new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

/** How many inputs a run of libFuzzer with `-print_final_stats=1` tried; `undefined` if it does not say. */
export function executionsIn(said: string): number | undefined {
  const [, count] = /^stat::number_of_executed_units:\s*(\d+)$/m.exec(said) ?? [];
  return count === undefined ? undefined : Number(count);
}
