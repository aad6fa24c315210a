/** The driver of one process of `workload.c`: it sends lines and reads the process's own exact counts. */
import { linesOf } from "../lines.ts";

const PROGRAM = new URL("./build/workload", import.meta.url).pathname;

/** Where a process belongs; everything it makes, sockets too, belongs there from the start. */
export interface Placement {
  /** Cgroup directories to join, in v2 and, for a memory limit on a hybrid host, in v1. */
  readonly cgroups?: readonly string[];
  /** A namespace's path (`/proc/PID/ns/net`) or name (in `/run/netns`), or `new` for one of its own. */
  readonly network?: string;
  /** Whether all threads share one CPU. @default false */
  readonly pin?: boolean;
}

/** The kernel's account of a connection (`TCP_INFO`), what `ss -ti` shows. */
export interface TcpAccount {
  readonly bytes_sent: number;
  readonly bytes_retransmitted: number;
  readonly retransmits: number;
  readonly bytes_received: number;
  readonly rtt_us: number;
  readonly min_rtt_us: number;
}

/** What `go` and `rr` of tcp-client answer; `errno` is 0 when the connection was made. */
export interface Transfer {
  readonly errno: number;
  readonly sent: number;
  readonly received: number;
  readonly port: number;
  readonly tcp: TcpAccount;
}

/** What `stats` of tcp-server answers; `mapped` counts the bytes received by mapping, of those received. */
export interface ServerStats {
  readonly accepted: number;
  readonly closed: number;
  readonly received: number;
  readonly sent: number;
  readonly mapped: number;
  readonly calls: number;
}

/** What `go` of syscalls answers, by system call. */
export type SyscallCounts = Readonly<Record<"read" | "write" | "openat" | "close", SyscallCount>>;

export interface SyscallCount {
  readonly count: number;
  readonly errors: number;
}

/** A running workload. */
export class Workload implements AsyncDisposable {
  /** Settles when the process has ended, of itself or killed. */
  readonly exited: Promise<Deno.CommandStatus>;
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;
  #detail = "";
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(process: Deno.ChildProcess, readonly args: readonly string[]) {
    this.#process = process;
    this.exited = process.status;
    this.#input = process.stdin.getWriter();
    this.#lines = linesOf(process.stdout);
  }

  /**
   * Starts a command of `workload.c` and waits until it is set up.
   * Throws where the program is not built, or with the program's own message where it cannot do its task.
   */
  static async start(args: readonly string[], placement: Placement = {}): Promise<Workload> {
    const { cgroups = [], network, pin = false } = placement;
    const where = cgroups.flatMap((directory) => ["--cgroup", directory]);
    if (network !== undefined) where.push(...network === "new" ? ["--new-netns"] : ["--netns", network]);
    if (pin) where.push("--pin");
    const workload = new Workload(spawn([...where, ...args]), args);
    const line = await workload.#lines.next();
    if (line.done || !line.value.startsWith("ready")) {
      const { code } = await workload.exited;
      throw new Error(`Cannot start the workload ${args.join(" ")}: got exit code ${code}; see its message`);
    }
    workload.#detail = line.value.slice("ready ".length);
    return workload;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** The port a tcp-server listens on. */
  get port(): number {
    return Number(this.#detail);
  }

  /** Sends a line and returns the answer; lines sent meanwhile wait their turn. */
  send<Answer = Record<string, number>>(line: string): Promise<Answer> {
    const answer = this.#turn.then(() => this.#exchange<Answer>(line));
    this.#turn = answer.catch(() => {});
    return answer;
  }

  /** Sends `go` with its numbers. */
  go<Answer = Record<string, number>>(...numbers: number[]): Promise<Answer> {
    return this.send<Answer>(["go", ...numbers].join(" "));
  }

  /** Lets the process end of itself. */
  async exit(): Promise<Deno.CommandStatus> {
    await this.#input.close().catch(() => {});
    return await this.exited;
  }

  async kill(): Promise<Deno.CommandStatus> {
    try {
      this.#process.kill("SIGKILL");
    } catch (error) {
      // It may have ended before.
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
    return await this.exit();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.exit();
  }

  async #exchange<Answer>(line: string): Promise<Answer> {
    try {
      await this.#input.write(new TextEncoder().encode(`${line}\n`));
      const answer = await this.#lines.next();
      if (!answer.done) return refuseError(JSON.parse(answer.value), line);
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
    const { code, signal } = await this.exited;
    throw new Error(
      `Cannot get an answer to "${line}" from ${this.args[0]}: it ended by ${signal ?? `exit ${code}`}`,
    );
  }
}

function refuseError<Answer>(answer: Answer & { error?: string }, line: string): Answer {
  if (answer.error !== undefined) throw new Error(`Cannot do "${line}": got ${answer.error}`);
  return answer;
}

function spawn(args: string[]): Deno.ChildProcess {
  try {
    return new Deno.Command(PROGRAM, { args, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`Cannot start ${PROGRAM}: it is not there; run \`deno task build\``, { cause: error });
  }
}
