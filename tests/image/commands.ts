/** Programs that the image's test runs. */
import { must, processRunner } from "../commands.ts";

/** What Ctrl-C aborts. */
export const stopping = new AbortController();

/** Mounts that a command makes, and whatever it starts, end with it. */
const CONTAINED = ["--mount", "--propagation", "private", "--pid", "--mount-proc", "--fork", "--kill-child"];

const runner = processRunner({ BUILDAH_ISOLATION: "chroot" }, stopping.signal);

/** Runs a command to its end, and returns what it writes to standard output. Throws the last it wrote if it fails. */
export function run(program: string, args: readonly string[]): Promise<string> {
  return must(runner, program, args);
}

/** Runs a command in namespaces of its own, and returns what it writes to standard output. */
export function runContained(args: readonly string[]): Promise<string> {
  return run("unshare", [...CONTAINED, ...args]);
}
