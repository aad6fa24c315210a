/** The programs in C beside this file: compiled when they are used first, and driven line by line. */
import { fileURLToPath } from "node:url";
import { C_FLAGS } from "../../native/flags.ts";
import { BUILD_TOOLS, ensureTools } from "../../native/tools.ts";

// Not all of them use all of line.h, and paths that do not fit do not exist.
const FLAGS = [...C_FLAGS, "-O2", "-Wno-unused-function", "-Wno-format-truncation"];

/** Where the benchmarks put what they compile and copy. */
export const BUILD = fileURLToPath(new URL("../build/bench", import.meta.url));

type Name = "agent_pods" | "agent_reader" | "agent_tree";

/** A running program. It ends at the end of its input, so it never outlives this process. */
export class Helper implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  /** Whoever waits for a line, in the order of the lines. */
  readonly #waiting: PromiseWithResolvers<string>[] = [];
  readonly #name: string;
  #hasEnded = false;

  private constructor(name: string, process: Deno.ChildProcess) {
    this.#name = name;
    this.#process = process;
    this.#input = process.stdin.getWriter();
    void this.#read();
  }

  /** Starts a program, by `wrapper` if there is one, and waits until it is ready. */
  static async start(name: Name, args: readonly string[] = [], wrapper: readonly string[] = []) {
    const [program = "", ...rest] = [...wrapper, await compiled(name), ...args];
    const options = { args: rest, stdin: "piped", stdout: "piped", stderr: "inherit" } as const;
    const helper = new Helper(name, new Deno.Command(program, options).spawn());
    await helper.#line();
    return helper;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Sends a line and resolves to the answer; more lines may be sent before that. */
  async send<Answer = unknown>(line: string): Promise<Answer> {
    const answered = this.#line();
    this.#input.write(new TextEncoder().encode(`${line}\n`)).catch(() => {});
    const answer: Answer & { error?: string } = JSON.parse(await answered);
    if (answer.error !== undefined) throw new Error(`Cannot do "${line}" in ${this.#name}: ${answer.error}`);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#process);
    await this.#input.close().catch(() => {});
  }

  #line(): Promise<string> {
    const line = Promise.withResolvers<string>();
    line.promise.catch(() => {});
    if (this.#hasEnded) line.reject(this.#ending());
    else this.#waiting.push(line);
    return line.promise;
  }

  async #read(): Promise<void> {
    let held = "";
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (held + text).split("\n");
      held = lines.pop() ?? "";
      for (const line of lines) this.#waiting.shift()?.resolve(line);
    }
    this.#hasEnded = true;
    for (const line of this.#waiting) line.reject(this.#ending());
  }

  #ending(): Error {
    return new Error(`Cannot get an answer of ${this.#name}: it has ended; see what it said`);
  }
}

/** Ends a process that may have ended already. */
export async function end(process: Deno.ChildProcess): Promise<void> {
  try {
    process.kill("SIGKILL");
  } catch {
    // It has ended already.
  }
  await process.status;
}

/** The path of a program that is younger than its source. */
async function compiled(name: Name): Promise<string> {
  const source = fileURLToPath(new URL(`${name}.c`, import.meta.url));
  const program = `${BUILD}/${name}`;
  const time = (path: string) => Deno.stat(path).then(({ mtime }) => mtime?.getTime() ?? 0, () => 0);
  if (await time(program) > await time(source)) return program;
  await ensureTools(BUILD_TOOLS);
  await Deno.mkdir(BUILD, { recursive: true });
  await runIn(BUILD, "gcc", ...FLAGS, source, "-o", name, "-lbpf");
  return program;
}

/** Runs a command in a directory to its end; throws what it says if it fails. */
export async function runIn(cwd: string, program: string, ...args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args: [...args], cwd, stdin: "null" })
    .output();
  if (success) return;
  throw new Error(`Cannot run ${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}
