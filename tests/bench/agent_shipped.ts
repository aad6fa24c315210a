/** The agent as its image ships it: the same files and packages, flags and environment. */
import { AgentProcess, baseEnvironment, ROOT } from "../agent/agent.ts";
import type { Farm } from "./agent_farm.ts";
import { BUILD, runIn } from "./agent_helper.ts";
import { shared } from "./shared.ts";

const APP = `${BUILD}/app`;
/** As the Dockerfile copies them. */
const FILES = [
  "deno.json",
  "deno.lock",
  "mod.ts",
  "src",
  "node_modules",
  "native/build",
  "bpf/cpu_sched.bpf.o",
]
  .concat("bpf/mem.bpf.o", "bpf/net.bpf.o", "bpf/syscall.bpf.o");

/** How the image runs the agent. */
export interface ShippedCommand {
  /** The arguments of `deno`. */
  readonly args: readonly string[];
  /** Without what says where things are in the image. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Reads a Dockerfile's last stage; throws where its entrypoint is not the runtime's, as a JSON array. */
export function shippedCommand(dockerfile: string): ShippedCommand {
  const stage = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "));
  const [program, ...args]: string[] = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(stage)?.[1] ?? "[]");
  if (program !== "deno") throw new Error(`Cannot tell how the image runs the agent: it runs ${program}`);
  const variables = [...stage.matchAll(/^ENV (.*)$/gm)].flatMap(([, line = ""]) => line.split(" "))
    .map((variable) => variable.split(/=(.*)/s, 2) as [string, string])
    .filter(([name]) => name !== "PATH" && name !== "DENO_DIR");
  return { args, environment: Object.fromEntries(variables) };
}

/** Starts the agent on a farm, on a free port of 127.0.0.1, and waits until it listens. */
export async function startAgent(
  farm: Farm,
  settings: Readonly<Record<string, string>>,
  interrupted: AbortSignal,
): Promise<AgentProcess> {
  await copied(interrupted);
  const { args, environment } = shippedCommand(await Deno.readTextFile(`${ROOT}/Dockerfile`));
  // What enters a mount namespace is at its root at first.
  const command = [...farm.wrapper, "env", `--chdir=${APP}`, Deno.execPath(), ...args];
  return await AgentProcess.listening(
    new Deno.Command(command[0] ?? "", {
      args: command.slice(1),
      clearEnv: true,
      env: {
        ...baseEnvironment(),
        ...environment,
        KPOD_LISTEN_ADDRESS: "127.0.0.1:0",
        ...farm.settings,
        ...settings,
      },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn(),
  );
}

/** Copies the agent once: what is measured does not change meanwhile. */
const copied = shared(async () => {
  await Deno.remove(APP, { recursive: true }).catch(() => {});
  await Deno.mkdir(APP, { recursive: true });
  await runIn(ROOT, "cp", "--archive", "--parents", ...FILES, APP);
  const script = `${ROOT}/native/image_packages.ts`;
  await runIn(APP, Deno.execPath(), "run", "--no-config", "--allow-read=.", "--allow-write=.", script);
});
