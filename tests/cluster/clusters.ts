/** Clusters to test in: one of the test's own, made by kind or minikube, or one that is there already. */
import { CannotRun, must, type Run, type RunOptions } from "../commands.ts";
import type { ClusterTool, Engine } from "./tools.ts";

/** Of the clusters that the test makes. */
export const CLUSTER_NAME = "kpod-metrics-test";

/** Two nodes, so that it shows that each agent counts its own node's pods alone. */
const KIND_CONFIG = `kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
- role: worker
`;

export interface Cluster {
  /** For people. */
  readonly description: string;
  /** Throws {CannotRun} where it must not be touched. Called before `create`, which may leave things to remove. */
  prepare(run: Run): Promise<void>;
  create(run: Run): Promise<void>;
  /** Brings an image to its nodes from an archive that the container engine has saved. */
  load(run: Run, archive: string): Promise<void>;
  /** Leaves nothing of the test behind. */
  remove(run: Run): Promise<void>;
  /** What `remove` does, for people who keep it for now. */
  readonly removal: string;
}

/** A cluster made for the test; `kubeconfig` is a file of the test's own, which its commands find in KUBECONFIG. */
export function ownCluster(tool: ClusterTool, engine: Engine): Cluster {
  return { kind: kindCluster, minikube: minikubeCluster }[tool](engine);
}

function kindCluster(engine: Engine): Cluster {
  const remove = ["delete", "cluster", "--name", CLUSTER_NAME];
  // Left to itself kind takes docker wherever it is installed, even if it does not work.
  const kind = (run: Run, args: readonly string[], options?: RunOptions) =>
    must(run, "env", [`KIND_EXPERIMENTAL_PROVIDER=${engine}`, "kind", ...args], options);
  return {
    description: `kind cluster ${CLUSTER_NAME}`,
    removal: `kind ${remove.join(" ")}`,
    async prepare(run) {
      const clusters = await kind(run, ["get", "clusters"]);
      if (clusters.split("\n").includes(CLUSTER_NAME)) throw isThere(this);
    },
    async create(run) {
      const args = ["create", "cluster", "--name", CLUSTER_NAME, "--wait", "180s", "--config", "-"];
      await kind(run, args, { input: KIND_CONFIG });
    },
    async load(run, archive) {
      await kind(run, ["load", "image-archive", archive, "--name", CLUSTER_NAME]);
    },
    async remove(run) {
      await kind(run, remove);
    },
  };
}

function minikubeCluster(engine: Engine): Cluster {
  const profile = ["--profile", CLUSTER_NAME];
  return {
    description: `minikube cluster ${CLUSTER_NAME}`,
    removal: `minikube delete ${profile.join(" ")}`,
    async prepare(run) {
      // It ends with an error where there is no profile at all.
      const { stdout } = await run("minikube", ["profile", "list", "--output", "json"]);
      if (stdout.includes(`"${CLUSTER_NAME}"`)) throw isThere(this);
    },
    async create(run) {
      const args = ["--driver", engine, "--container-runtime", "containerd", "--nodes", "2", "--wait", "all"];
      await must(run, "minikube", ["start", ...profile, ...args]);
    },
    async load(run, archive) {
      await must(run, "minikube", ["image", "load", archive, ...profile]);
    },
    async remove(run) {
      await must(run, "minikube", ["delete", ...profile]);
    },
  };
}

function isThere({ description, removal }: Cluster): CannotRun {
  return new CannotRun(
    `the ${description} exists already, and may be somebody's; remove it first: ${removal}`,
  );
}

/** The cluster that kubectl speaks to, whose nodes can already pull the image. `directory` holds the manifests. */
export function currentCluster(namespace: string, directory: string): Cluster {
  const manifests = ["-f", `${directory}/stress`, "-f", directory];
  const remove = ["delete", ...manifests, "--ignore-not-found", "--wait"];
  return {
    description: "cluster of kubectl's current context",
    removal: `kubectl ${remove.join(" ")}`,
    async prepare(run) {
      const found = await must(run, "kubectl", ["get", "namespace", namespace, "--ignore-not-found"]);
      if (found.trim() === "") return;
      throw new CannotRun(
        `its namespace ${namespace} exists already, and the test would remove it; remove it first`,
      );
    },
    create: () => Promise.resolve(),
    load: () => Promise.resolve(),
    async remove(run) {
      await must(run, "kubectl", remove);
    },
  };
}
