/** Programs that the image's test runs. */

/** Lines of a failed command's output that are shown. */
const LAST_LINES = 60;

/** What Ctrl-C aborts. */
export const stopping = new AbortController();

/** Mounts that a command makes, and whatever it starts, end with it. */
const CONTAINED = ["--mount", "--propagation", "private", "--pid", "--mount-proc", "--fork", "--kill-child"];

type Environment = Readonly<Record<string, string>>;

/** Runs a command in namespaces of its own, and returns what it writes to standard output. */
export function runContained(args: readonly string[], env: Environment = {}): Promise<string> {
  return run("unshare", [...CONTAINED, ...args], env);
}

/** Runs a command to its end, and returns what it writes to standard output. Throws the last it wrote if it fails. */
export async function run(program: string, args: readonly string[], env: Environment = {}): Promise<string> {
  stopping.signal.throwIfAborted();
  const child = new Deno.Command(program, {
    args: [...args],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const kill = () => child.kill("SIGKILL");
  stopping.signal.addEventListener("abort", kill);
  const { success, code, stdout, stderr } = await child.output();
  stopping.signal.removeEventListener("abort", kill);
  stopping.signal.throwIfAborted();
  const [output = "", errors = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (success) return output;
  const last = `${output}\n${errors}`.trim().split("\n").slice(-LAST_LINES).join("\n");
  throw new Error(`Cannot go on: "${program} ${args.join(" ")}" ended with ${code}:\n${last}`);
}
