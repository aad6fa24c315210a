/** Commands of others (apt, buildah, kubectl), behind a function so that tests can answer in their place. */

/** How a command ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** What it reads from standard input. @default nothing */
  readonly input?: string;
  /** Where it runs. @default the current directory */
  readonly cwd?: string;
}

/** Runs a program until it ends; one that is not installed ends with `NOT_FOUND`. */
export type Run = (program: string, args: readonly string[], options?: RunOptions) => Promise<Outcome>;

/** As a shell's for a program that is not there. */
export const NOT_FOUND = 127;

/** How much of what a failed command said is shown. */
const LINES_SHOWN = 40;

/** This machine lacks what the test needs: no check has been made, and nothing is known of the agent. */
export class CannotRun extends Error {
  override readonly name = "CannotRun";
}

/** The test was asked to end. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";

  constructor() {
    super("interrupted");
  }
}

/** Runs real processes with these variables set as well. When `signal` aborts, the running one is killed. */
export function processRunner(environment: Readonly<Record<string, string>>, signal?: AbortSignal): Run {
  return async (program, args, { input, cwd } = {}) => {
    if (signal?.aborted) throw new Interrupted();
    const process = start(program, args, environment, cwd);
    if (process === undefined) return { code: NOT_FOUND, stdout: "", stderr: `${program}: not installed` };
    // Not by SIGTERM, which unshare leaves to the program that it waits for.
    const kill = () => {
      try {
        process.kill("SIGKILL");
      } catch {
        // It has ended.
      }
    };
    signal?.addEventListener("abort", kill);
    const writer = process.stdin.getWriter();
    // A program that does not want to hear it all is no failure of its own.
    await writer.write(new TextEncoder().encode(input ?? "")).catch(() => {});
    await writer.close().catch(() => {});
    const { code, stdout, stderr } = await process.output();
    signal?.removeEventListener("abort", kill);
    if (signal?.aborted) throw new Interrupted();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  };
}

function start(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string | undefined,
): Deno.ChildProcess | undefined {
  try {
    return new Deno.Command(program, {
      args: [...args],
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      ...(cwd === undefined ? {} : { cwd }),
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/**
 * What a command that must succeed prints.
 *
 * @throws {Error} with the command and the end of what it said.
 */
export async function must(
  run: Run,
  program: string,
  args: readonly string[],
  options?: RunOptions,
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, options);
  if (code === 0) return stdout;
  const said = `${stdout}\n${stderr}`.split("\n").filter((line) => line.trim() !== "").slice(-LINES_SHOWN);
  const command = [program, ...args].join(" ");
  throw new Error(`"${command}" ended with ${code}${said.length === 0 ? "" : `:\n${said.join("\n")}`}`);
}

/** What a command prints that must succeed, and that nothing but the machine's user interrupts. */
export function run(program: string, args: readonly string[], options?: RunOptions): Promise<string> {
  return must(processRunner({}), program, args, options);
}
