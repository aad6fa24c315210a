/** The schemas of the Kubernetes API and of the Prometheus Operator's, and what they find wrong with an object. */
import { ClusterRole } from "kubernetes-models/rbac.authorization.k8s.io/v1/ClusterRole";
import { ClusterRoleBinding } from "kubernetes-models/rbac.authorization.k8s.io/v1/ClusterRoleBinding";
import { ConfigMap } from "kubernetes-models/v1/ConfigMap";
import { DaemonSet } from "kubernetes-models/apps/v1/DaemonSet";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { Namespace } from "kubernetes-models/v1/Namespace";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import { PodMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor";
import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
import { ResourceQuota } from "kubernetes-models/v1/ResourceQuota";
import { Service } from "kubernetes-models/v1/Service";
import { ServiceAccount } from "kubernetes-models/v1/ServiceAccount";
import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";

/** To validate another kind, add its model. */
const MODELS = [
  ClusterRole,
  ClusterRoleBinding,
  ConfigMap,
  DaemonSet,
  Deployment,
  Namespace,
  NetworkPolicy,
  PodMonitor,
  PrometheusRule,
  ResourceQuota,
  Service,
  ServiceAccount,
  ServiceMonitor,
];

/** Returns one line for each thing that the API would not take or not know. */
export function schemaProblems(object: { readonly apiVersion: string; readonly kind: string }): string[] {
  const model = MODELS.find(({ apiVersion, kind }) =>
    apiVersion === object.apiVersion && kind === object.kind
  );
  if (model === undefined) return [`no schema for ${object.apiVersion} ${object.kind}`];
  const read = new Set<unknown>();
  const problems: string[] = [];
  try {
    model.prototype.validate.call(recorded(object, "", read));
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  return [
    ...problems,
    ...pathsOf(object).filter((path) => !read.has(path)).map((path) => `unknown: ${path}`),
  ];
}

/**
 * The schemas allow fields that they do not have. But a validator asks an object for each field of its schema, and for
 * no other: a field it has never asked for is unknown.
 */
function recorded<Value extends object>(value: Value, path: string, read: Set<unknown>): Value {
  return new Proxy(value, {
    get(target, key) {
      const child: unknown = Reflect.get(target, key);
      const place = `${path}/${String(key)}`;
      if (Object.hasOwn(target, key)) read.add(place);
      return typeof child === "object" && child !== null ? recorded(child, place, read) : child;
    },
  });
}

/** Paths of all fields and elements. */
function pathsOf(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => {
    const place = `${path}/${key}`;
    return [place, ...pathsOf(child, place)];
  });
}
