/** The tools that the agent's programs are compared with: libbpf-tools, which answer the same questions. */
import { isThere } from "../../native/tools.ts";
import type { State } from "./interleave.ts";

export interface Tool {
  readonly program: string;
  readonly args: readonly string[];
  /** Whether it attaches by tracefs. */
  readonly tracefs: boolean;
}

/** Waits for a CPU, in a histogram; it would print after as many seconds. */
export const RUNQLAT: Tool = { program: "runqlat", args: ["99999", "1"], tracefs: false };
/** Count and time of each system call; it prints when it ends. */
export const SYSCOUNT: Tool = { program: "syscount", args: ["--latency"], tracefs: true };

const TRACEFS = "/sys/kernel/tracing";
/** What both tools say as soon as their programs are attached. */
const ATTACHED = "Tracing ";

/** A tool that runs, its programs attached. */
export class Tracer implements State {
  #ended = false;

  private constructor(private readonly process: Deno.ChildProcess, private readonly program: string) {
    void process.status.then(() => this.#ended = true);
  }

  /** Starts a tool and waits until its programs are attached; throws with its own words where they cannot be. */
  static async start({ program, args, tracefs }: Tool): Promise<Tracer> {
    if (!isThere(program)) {
      throw new Error(`Cannot compare with ${program}: it is not there; install the package libbpf-tools`);
    }
    // Printed to a pipe the line would stay in the tool's buffer.
    const command = ["stdbuf", "--output=L", program, ...args];
    const [first = "", ...rest] = tracefs ? withTracefs(command) : command;
    const options = { args: rest, stdin: "null", stdout: "piped", stderr: "piped" } as const;
    const process = new Deno.Command(first, options).spawn();
    const said = new Response(process.stderr).text();
    if (!await says(process.stdout, ATTACHED)) {
      const { code } = await process.status;
      const reason = (await said).trim() || `exit code ${code}`;
      throw new Error(`Cannot compare with ${program}: got ${reason}`);
    }
    return new Tracer(process, program);
  }

  get pid(): number {
    return this.process.pid;
  }

  /** Ends the tool; throws where it had ended by itself, because then nothing says what was compared with. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) {
      throw new Error(`Cannot compare with ${this.program}: it ended while loads were measured`);
    }
    this.process.kill("SIGINT");
    await this.process.status;
  }
}

/** The command in a mount namespace of its own that has tracefs, where the machine has it not mounted. */
function withTracefs(command: readonly string[]): readonly string[] {
  if (isThere(`${TRACEFS}/set_event`)) return command;
  const script = `mount -t tracefs tracefs ${TRACEFS} && exec "$@"`;
  return ["unshare", "--mount", "sh", "-c", script, "sh", ...command];
}

/** Whether a stream comes to a text before its end; what follows is read and dropped. */
async function says(stream: ReadableStream<Uint8Array<ArrayBuffer>>, wanted: string): Promise<boolean> {
  const chunks = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes(wanted)) {
    const { done, value } = await chunks.read();
    if (done) return false;
    text += value;
  }
  const drain = async () => {
    while (!(await chunks.read()).done);
  };
  void drain();
  return true;
}
