/**
 * `deno task test:cluster`: the agent in a real cluster, installed by `kubectl apply` as an operator does.
 *
 * Exit codes: 0 every check passed, 1 one failed, 2 unusable flags, 3 this machine cannot run the test (nothing was
 * checked), 130 interrupted.
 */
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { setTimeout as pause } from "node:timers/promises";
import { VERSION } from "../../src/version.ts";
import { AGENT } from "./checks.ts";
import { type Cluster, CLUSTER_NAME, currentCluster, ownCluster } from "./clusters.ts";
import { CannotRun, Interrupted, must, processRunner, type Run } from "../commands.ts";
import { Report } from "./report.ts";
import { showAgents, type Test, testCluster } from "./steps.ts";
import { chooseEngine, chooseTool, CLUSTER_TOOLS, type ClusterTool, requireKubectl } from "./tools.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const MANIFESTS = `${ROOT}/manifests`;

/** In full, as docker and podman each complete a short name in their own way. */
const IMAGE = `localhost/${AGENT}:${VERSION}`;

const EXIT = { passed: 0, failed: 1, flags: 2, cannotRun: 3, interrupted: 130 } as const;

const USAGE = `Usage: deno task test:cluster [--tool kind|minikube] [--keep]
       deno task test:cluster --use-current --yes --image REFERENCE [--keep]

Makes a cluster ${CLUSTER_NAME} of its own, builds the image, applies manifests/ and manifests/stress/, checks the
agents and removes the cluster.

  --tool         what makes the cluster; default: kind if it is installed, else minikube
  --keep         leave the cluster, or what was installed in it, and say how to remove it
  --use-current  use the cluster that kubectl speaks to; needs
    --yes          as ${AGENT} is installed in it, and removed afterwards
    --image        the image, which its nodes can pull

Exit codes: 0 every check passed, 1 one failed, 2 unusable flags, 3 this machine cannot run the test, 130 interrupted`;

const OPTIONS = {
  tool: { type: "string" },
  keep: { type: "boolean", default: false },
  "use-current": { type: "boolean", default: false },
  yes: { type: "boolean", default: false },
  image: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

export interface Flags {
  readonly help: boolean;
  readonly keep: boolean;
  readonly tool: ClusterTool | undefined;
  /** Image in the cluster that is there already; `undefined` for a cluster of the test's own. */
  readonly image: string | undefined;
}

/** @throws {Error} that says which flag cannot be used. */
export function readFlags(args: readonly string[]): Flags {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const { help, keep, tool, image } = values;
  const isTool = (name: string | undefined): name is ClusterTool | undefined =>
    name === undefined || (CLUSTER_TOOLS as readonly string[]).includes(name);
  if (!isTool(tool)) throw new Error(`--tool: got ${tool}; use ${CLUSTER_TOOLS.join(" or ")}`);
  if (values["use-current"]) {
    if (!values.yes) {
      throw new Error(`--use-current installs ${AGENT} and removes it again: add --yes to agree`);
    }
    if (image === undefined) {
      throw new Error("--use-current needs --image, which the cluster's nodes can pull");
    }
    if (tool !== undefined) throw new Error("--use-current makes no cluster: leave --tool out");
  } else if (values.yes || image !== undefined) throw new Error("--yes and --image are for --use-current");
  return { help, keep, tool, image };
}

export interface World {
  /** Stops where the test is interrupted. */
  readonly run: Run;
  /** For what has to be done even then. */
  readonly runFinally: Run;
  readonly report: Report;
  /** A directory of the test's own, removed by its owner. */
  readonly directory: string;
  readonly now: () => number;
  readonly pause: (milliseconds: number) => Promise<void>;
}

/** Tests in the cluster and removes it whatever happens, unless it is to be kept; returns the exit code. */
export async function runTest(flags: Flags, world: World): Promise<number> {
  const { run, runFinally, report } = world;
  let cluster: Cluster | undefined;
  try {
    await requireKubectl(run);
    const engine = flags.image === undefined ? await chooseEngine(run) : undefined;
    const chosen = engine === undefined
      ? currentCluster(AGENT, MANIFESTS)
      : ownCluster(await chooseTool(run, flags.tool), engine);
    await chosen.prepare(run);
    if (engine !== undefined) await buildImage(run, engine, report);
    // From here on there may be something to remove, even if not all of it can be made.
    cluster = chosen;
    report.begin(`${chosen.description}, ${chosen.removal} removes it`);
    await chosen.create(run);
    if (engine !== undefined) await loadImage(world, engine, chosen);
    await testAgents({ ...world, manifests: MANIFESTS, image: flags.image ?? IMAGE });
  } catch (error) {
    if (error instanceof CannotRun) {
      report.step("machine", "the test cannot run here, and nothing was checked", [error.message]);
      return EXIT.cannotRun;
    }
    stopped(report, error);
    if (error instanceof Interrupted) return EXIT.interrupted;
  } finally {
    if (cluster !== undefined) await end(cluster, flags, runFinally, report);
    report.summary();
  }
  return report.failed > 0 ? EXIT.failed : EXIT.passed;
}

/** Tests, and shows the agents if something fails. */
async function testAgents(test: Test): Promise<void> {
  try {
    await testCluster(test);
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    stopped(test.report, error);
  }
  if (test.report.failed > 0) await showAgents(test.run, test.report);
}

function stopped(report: Report, error: unknown): void {
  report.step("test", "could not go on", [messageOf(error)]);
}

async function buildImage(run: Run, engine: string, report: Report): Promise<void> {
  report.begin(`building the image ${IMAGE} by ${engine}`);
  await must(run, engine, ["build", "--tag", IMAGE, ROOT]);
  report.step("image", "built");
}

async function loadImage({ run, directory, report }: World, engine: string, cluster: Cluster): Promise<void> {
  report.begin("loading the image into the cluster");
  const archive = `${directory}/image.tar`;
  await must(run, engine, ["save", "--output", archive, IMAGE]);
  await cluster.load(run, archive);
  report.step("cluster", `${cluster.description} has the image`);
}

async function end(cluster: Cluster, { keep }: Flags, run: Run, report: Report): Promise<void> {
  if (keep) return report.detail("kept", cluster.removal);
  report.begin(`removing: ${cluster.removal}`);
  try {
    await cluster.remove(run);
    report.step("clean-up", "nothing is left");
  } catch (error) {
    report.step("clean-up", `run it yourself: ${cluster.removal}`, [messageOf(error)]);
  }
}

async function main(): Promise<number> {
  let flags: Flags;
  try {
    flags = readFlags(Deno.args);
  } catch (error) {
    console.error(`test:cluster: ${messageOf(error)}\n\n${USAGE}`);
    return EXIT.flags;
  }
  if (flags.help) {
    console.log(USAGE);
    return EXIT.passed;
  }
  const directory = await Deno.makeTempDir({ prefix: "kpod-cluster-" });
  const interruption = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => interruption.abort());
  }
  // Keeps a cluster of the test's own out of the user's kubectl configuration.
  const environment = flags.image === undefined ? { KUBECONFIG: `${directory}/kubeconfig` } : {};
  try {
    return await runTest(flags, {
      run: processRunner(environment, interruption.signal),
      runFinally: processRunner(environment),
      report: new Report(),
      directory,
      now: () => performance.now(),
      pause: (milliseconds) =>
        pause(milliseconds, undefined, { signal: interruption.signal }).catch(() => {
          throw new Interrupted();
        }),
    });
  } finally {
    // A cluster that is kept is reached by what is in there.
    if (flags.keep && environment.KUBECONFIG !== undefined) {
      console.log(`export KUBECONFIG=${environment.KUBECONFIG}`);
    } else await Deno.remove(directory, { recursive: true });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

if (import.meta.main) Deno.exit(await main());
