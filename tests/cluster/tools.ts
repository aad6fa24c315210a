/** What the test needs on this machine, and whether it is here. */
import { CannotRun, NOT_FOUND, type Run } from "../commands.ts";

export const CLUSTER_TOOLS = ["kind", "minikube"] as const;
export type ClusterTool = (typeof CLUSTER_TOOLS)[number];
export type Engine = "docker" | "podman";

/** A container engine that works here. */
export async function chooseEngine(run: Run): Promise<Engine> {
  const tried: string[] = [];
  for (const engine of ["docker", "podman"] as const) {
    const { code, stderr } = await run(engine, ["info"]);
    if (code === 0) return engine;
    tried.push(code === NOT_FOUND ? `${engine} is not installed` : `${engine}: ${lastLine(stderr)}`);
  }
  throw new CannotRun(
    `no container engine works here (${tried.join("; ")}): start docker, or install podman`,
  );
}

/** What makes the cluster: the one asked for, or the first that is installed. */
export async function chooseTool(run: Run, wanted: ClusterTool | undefined): Promise<ClusterTool> {
  const candidates = wanted === undefined ? CLUSTER_TOOLS : [wanted];
  for (const tool of candidates) {
    if ((await run(tool, ["version"])).code === 0) return tool;
  }
  throw new CannotRun(`${candidates.join(" and ")} ${candidates.length > 1 ? "are" : "is"} not installed`);
}

/** Without kubectl there is nothing to ask a cluster with. */
export async function requireKubectl(run: Run): Promise<void> {
  const { code, stderr } = await run("kubectl", ["version", "--client"]);
  if (code !== 0) throw new CannotRun(`kubectl does not work here: ${lastLine(stderr)}`);
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
