/** Servers of others that the agent is compared with: Debian's, unpacked beside and never a service. */
import { fileURLToPath } from "node:url";
import { isThere, unpackTools } from "../../native/tools.ts";
import { eventually } from "../agent/agent.ts";
import { end } from "./agent_helper.ts";

const TOOLS = fileURLToPath(new URL("../build/tools", import.meta.url));

export interface ReferenceOptions {
  /** Where the package has the program, below `/usr`. */
  readonly program: string;
  readonly package: string;
  readonly args: readonly string[];
  /** What it answers when it is ready. */
  readonly url: string;
}

/** A running server. */
export interface Reference extends AsyncDisposable {
  readonly pid: number;
  readonly url: string;
}

/** Starts a server and waits until it answers; rejects where it cannot be had. */
export async function startReference(options: ReferenceOptions): Promise<Reference> {
  const { url } = options;
  await using cleanup = new AsyncDisposableStack();
  const process = new Deno.Command(await pathOf(options), {
    args: [...options.args],
    stdin: "null",
    stdout: "null",
    // They complain of what this machine lacks.
    stderr: "null",
  }).spawn();
  cleanup.defer(() => end(process));
  await eventually(`${options.program} answers`, async () => {
    const response = await fetch(url).catch((error) => String(error));
    if (typeof response === "string") return response;
    await response.body?.cancel();
    return response.ok || `status ${response.status}`;
  });
  const ending = cleanup.move();
  return { pid: process.pid, url, [Symbol.asyncDispose]: () => ending.disposeAsync() };
}

async function pathOf(options: ReferenceOptions): Promise<string> {
  const { program } = options;
  await unpackTools([{ provides: `../${program}`, package: options.package }], TOOLS);
  const path = [`/usr/${program}`, `${TOOLS}/usr/${program}`].find(isThere);
  if (path !== undefined) return path;
  throw new Error(
    `Cannot compare with /usr/${program}: it is not there; install the package ${options.package}`,
  );
}
