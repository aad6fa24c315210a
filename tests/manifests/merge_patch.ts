/** Strategic merge patches, as far as those of the manifests go. */

/** By which field the elements of a list are told apart; other lists are replaced (k8s.io/api's patchMergeKey). */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: "name",
  env: "name",
  initContainers: "name",
  volumeMounts: "mountPath",
  volumes: "name",
};

/** A patch of the DaemonSet's pod. */
export function inPod(patch: object): unknown {
  return { spec: { template: { spec: patch } } };
}

/** A patch of the agent's container. */
export function inAgent(patch: object): unknown {
  return inPod({ containers: [{ name: "kpod-metrics", ...patch }] });
}

type Fields = Readonly<Record<string, unknown>>;

/** Returns `value` with the patch in it; neither is changed. */
export function patched<Value extends object>(value: Value, patch: unknown): Value {
  return merged(value, patch) as Value;
}

function merged(value: unknown, patch: unknown, field = ""): unknown {
  if (Array.isArray(patch)) {
    const key = MERGE_KEYS[field];
    return key === undefined ? patch : mergedList(Array.isArray(value) ? value : [], patch, key);
  }
  if (!isFields(patch)) return patch;
  const fields = new Map(Object.entries(isFields(value) ? value : {}));
  for (const [name, change] of Object.entries(patch)) {
    if (change === null) fields.delete(name);
    else fields.set(name, merged(fields.get(name), change, name));
  }
  return Object.fromEntries(fields);
}

function mergedList(list: readonly Fields[], patch: readonly Fields[], key: string): unknown[] {
  const elements = new Map(list.map((element) => [element[key], element as unknown]));
  for (const change of patch) {
    if (change["$patch"] === "delete") {
      if (!elements.delete(change[key])) throw new Error(`Cannot delete ${change[key]}: no ${key} is that`);
    } else elements.set(change[key], merged(elements.get(change[key]), change));
  }
  return [...elements.values()];
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
