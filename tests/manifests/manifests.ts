/** The manifests as a cluster would get them: found, read strictly, and the parts that many tests ask for. */
import { fileURLToPath } from "node:url";
import type { IConfigMap } from "kubernetes-models/v1/ConfigMap";
import type { IContainer } from "kubernetes-models/v1/Container";
import type { IPodSpec } from "kubernetes-models/v1/PodSpec";
import type { IDaemonSet } from "kubernetes-models/apps/v1/DaemonSet";
import { parseAllDocuments } from "yaml";

export const MANIFESTS = fileURLToPath(new URL("../../manifests", import.meta.url));

/** An object of the Kubernetes API, whatever its kind. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** Names of the files in a folder of the manifests that `kubectl apply -f` would take, in the order it does. */
export function filesIn(folder = "."): string[] {
  return [...Deno.readDirSync(`${MANIFESTS}/${folder}`)]
    .filter(({ name, isFile }) => isFile && /\.(?:json|yaml|yml)$/.test(name))
    .map(({ name }) => folder === "." ? name : `${folder}/${name}`)
    .sort();
}

/** Folders below the manifests, by their paths, `.` the first. */
export function folders(below = "."): string[] {
  return [
    below,
    ...[...Deno.readDirSync(`${MANIFESTS}/${below}`)]
      .filter(({ isDirectory }) => isDirectory)
      .flatMap(({ name }) => folders(below === "." ? name : `${below}/${name}`))
      .sort(),
  ];
}

export function textOf(path: string): string {
  return Deno.readTextFileSync(`${MANIFESTS}/${path}`);
}

/**
 * The documents of a YAML text.
 *
 * @throws of anything that a strict reader refuses, keys that come twice among it, and of what YAML 1.1 (as kubectl
 * has it) reads otherwise than 1.2: an `on` or `010` without quotes.
 */
export function parseYaml(text: string, name: string): unknown[] {
  const [values, old] = (["1.2", "1.1"] as const).map((version) =>
    parseAllDocuments(text, { version, strict: true, uniqueKeys: true }).map((document) => {
      const [problem] = [...document.errors, ...document.warnings];
      if (problem !== undefined) throw new Error(`Cannot read ${name}: ${problem.message}`);
      return document.toJS() as unknown;
    })
  );
  if (values === undefined || JSON.stringify(values) !== JSON.stringify(old)) {
    throw new Error(`Cannot read ${name}: YAML 1.1 and 1.2 differ about a value in it; put it in quotes`);
  }
  return values;
}

/** The objects in a file of the manifests. */
export function documents(path: string): KubernetesObject[] {
  return parseYaml(textOf(path), path) as KubernetesObject[];
}

/** Not for the API server: patches, and what Prometheus and Grafana read themselves. */
const NO_OBJECTS = /\/patch\.yaml$|\.rules\.yaml$|\.json$/;

/** Files of all folders that hold objects of the API. */
export function objectFiles(): string[] {
  return folders().flatMap(filesIn).filter((path) => !NO_OBJECTS.test(path));
}

let appliedOnce: readonly KubernetesObject[] | undefined;

/** All objects that `kubectl apply -f manifests/` makes, in that order. */
export function applied(): readonly KubernetesObject[] {
  return appliedOnce ??= filesIn().flatMap(documents);
}

function only<Kind>(kind: string): Kind {
  const [found, ...more] = applied().filter((object) => object.kind === kind);
  if (found === undefined || more.length > 0) {
    throw new Error(`Cannot take the ${kind}: there is not just one`);
  }
  return found as Kind;
}

export function daemonSet(): IDaemonSet {
  return only("DaemonSet");
}

export function configMap(): IConfigMap {
  return only("ConfigMap");
}

export function podOf(set: IDaemonSet): IPodSpec {
  const pod = set.spec?.template.spec;
  if (pod === undefined) {
    throw new Error("Cannot find the pod of the DaemonSet: it has no spec.template.spec");
  }
  return pod;
}

/** The agent's container. */
export function agentOf(set: IDaemonSet): IContainer {
  const found = podOf(set).containers.find(({ name }) => name === "kpod-metrics");
  if (found === undefined) throw new Error("Cannot find the container kpod-metrics in the DaemonSet");
  return found;
}

/** The init container. */
export function certificateCopierOf(set: IDaemonSet): IContainer {
  const [found] = podOf(set).initContainers ?? [];
  if (found === undefined) throw new Error("Cannot find the DaemonSet's init container");
  return found;
}

/** The capabilities that the agent has in the cluster, such as `BPF`. */
export function capabilities(set = daemonSet()): string[] {
  return [...agentOf(set).securityContext?.capabilities?.add ?? []].sort();
}

/** The agent's environment on a node, `env` before the config map as the kubelet has it. */
export function environment(
  set = daemonSet(),
  data: Readonly<Record<string, string>> = configMap().data ?? {},
  node = { name: "node-1", ip: "10.0.0.1" },
): Record<string, string> {
  const fields: Record<string, string> = { "spec.nodeName": node.name, "status.hostIP": node.ip };
  const own = (agentOf(set).env ?? []).map(({ name, value, valueFrom }) => [
    name,
    value ?? fields[valueFrom?.fieldRef?.fieldPath ?? ""] ?? "",
  ]);
  return { ...data, ...Object.fromEntries(own) };
}
