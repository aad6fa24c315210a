import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { IDaemonSet } from "kubernetes-models/apps/v1/DaemonSet";
import type { IDeployment } from "kubernetes-models/apps/v1/Deployment";
import type { IVolumeMount } from "kubernetes-models/v1/VolumeMount";
import { parseConfig } from "../../src/config.ts";
import {
  agentOf,
  applied,
  configMap,
  daemonSet,
  documents,
  environment,
  filesIn,
  folders,
  type KubernetesObject,
  parseYaml,
  podOf,
  textOf,
} from "./manifests.ts";
import { inAgent, inPod, patched } from "./merge_patch.ts";
import { schemaProblems } from "./schemas.ts";

const MINIMAL = "minimal/patch.yaml";
const WEB_CONFIG = "web-config/patch.yaml";

interface Kustomization extends KubernetesObject {
  readonly resources?: readonly string[];
  readonly components?: readonly string[];
  readonly patches?: readonly { readonly path: string }[];
}

function kustomization(folder: string): Kustomization {
  const path = `${folder}/Kustomization`;
  return parseYaml(textOf(path), path)[0] as Kustomization;
}

function isThere(path: string): boolean {
  try {
    textOf(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("a patch of lists is told apart by their keys, and of others takes their place", () => {
  const pod = {
    containers: [{ name: "a", args: ["x", "y"], env: [{ name: "B", value: "1" }] }],
    tolerations: [1],
  };
  const patch = {
    containers: [{
      name: "a",
      args: ["z"],
      env: [{ name: "B", $patch: "delete" }, { name: "C", value: "2" }],
    }],
    tolerations: null,
  };
  assert.deepEqual(patched(pod, patch), {
    containers: [{ name: "a", args: ["z"], env: [{ name: "C", value: "2" }] }],
  });
  assert.throws(() => patched(pod, { containers: [{ name: "b", $patch: "delete" }] }), /no name is that/);
});

Deno.test("the patch for the profile minimal takes CAP_SYS_PTRACE and the host's /proc away, and nothing else", () => {
  const [patch] = documents(MINIMAL);
  assert.deepEqual(
    [patch?.apiVersion, patch?.kind, patch?.metadata.name, patch?.metadata.namespace],
    [daemonSet().apiVersion, "DaemonSet", daemonSet().metadata?.name, daemonSet().metadata?.namespace],
  );
  const minimal = patched(daemonSet(), patch);
  assert.deepEqual(schemaProblems(minimal), []);
  assert.deepEqual(agentOf(minimal).securityContext, {
    ...agentOf(daemonSet()).securityContext,
    capabilities: { drop: ["ALL"], add: ["BPF", "PERFMON"] },
  });
  assert.deepEqual(
    mountsOf(minimal),
    mountsOf(daemonSet()).filter(({ mountPath }) => mountPath !== "/host/proc"),
  );
  assert.deepEqual(podOf(minimal).volumes, podOf(daemonSet()).volumes?.filter(({ name }) => name !== "proc"));
  const [rest, before] = [minimal, daemonSet()].map((set) =>
    patched(
      patched(set, inAgent({ securityContext: null, env: null, volumeMounts: null })),
      inPod({ volumes: null }),
    )
  );
  assert.deepEqual(rest, before);
});

function mountsOf(set: IDaemonSet): readonly IVolumeMount[] {
  return agentOf(set).volumeMounts ?? [];
}

Deno.test("the patch for kernels that preempt programs adds tracefs, read-only, and nothing else", () => {
  const [patch] = documents("tracefs/patch.yaml");
  const set = patched(daemonSet(), patch);
  assert.deepEqual(schemaProblems(set), []);
  const mount = mountsOf(set).at(-1);
  assert.deepEqual(mount, {
    name: "tracefs",
    mountPath: "/sys/kernel/tracing",
    readOnly: true,
    recursiveReadOnly: "IfPossible",
  });
  assert.deepEqual(podOf(set).volumes?.at(-1), {
    name: "tracefs",
    hostPath: { path: "/sys/kernel/tracing", type: "Directory" },
  });
  const back = patched(
    patched(set, inAgent({ volumeMounts: [{ mountPath: mount?.mountPath, $patch: "delete" }] })),
    inPod({ volumes: [{ name: "tracefs", $patch: "delete" }] }),
  );
  assert.deepEqual(back, daemonSet());
});

Deno.test("the patch for the profile minimal sets it, whatever the config map says", () => {
  const variables = environment(patched(daemonSet(), documents(MINIMAL)[0]), configMap().data);
  assert.notEqual(configMap().data?.["KPOD_PROFILE"], "minimal");
  const config = parseConfig(variables, { arch: "aarch64", programDirectory: "/app/bpf", hostname: "pod" });
  assert.deepEqual([config.profile, config.procRoot], ["minimal", "/proc"]);
  // What looks into the host's processes.
  assert.deepEqual(config.collectors.filter((name) => ["interface", "filesystem"].includes(name)), []);
});

Deno.test("the patch for a web configuration mounts it, and has the probes ask over TLS", () => {
  const guarded = patched(daemonSet(), documents(WEB_CONFIG)[0]);
  assert.deepEqual(schemaProblems(guarded), []);
  const { startupProbe, livenessProbe, readinessProbe } = agentOf(guarded);
  for (const probe of [startupProbe, livenessProbe, readinessProbe]) {
    assert.equal(probe?.httpGet?.scheme, "HTTPS");
    assert.ok(["/healthz", "/readyz"].includes(probe.httpGet.path ?? ""), "an open path");
  }
  const config = parseConfig(environment(guarded), {
    arch: "aarch64",
    programDirectory: "/app/bpf",
    hostname: "pod",
  });
  const mount = mountsOf(guarded).find(({ mountPath }) => mountPath === dirname(config.webConfigFile ?? ""));
  assert.equal(mount?.readOnly, true);
  const volume = podOf(guarded).volumes?.find(({ name }) => name === mount.name);
  assert.equal(volume?.projected?.sources?.length, 2);
  const probes = { startupProbe: null, livenessProbe: null, readinessProbe: null };
  const [rest, before] = [guarded, daemonSet()].map((set) =>
    patched(patched(set, inAgent({ ...probes, env: null, volumeMounts: null })), inPod({ volumes: null }))
  );
  assert.deepEqual(rest, before);
});

Deno.test("kustomize takes just what kubectl apply does", () => {
  assert.deepEqual(kustomization("."), {
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    resources: filesIn(),
    components: [],
  });
});

Deno.test("no file that kubectl apply would trip over is beside what it applies", () => {
  assert.ok(!filesIn().some((path) => /kustomization/i.test(path)));
  for (const { apiVersion } of applied()) assert.doesNotMatch(apiVersion, /kustomize/);
});

Deno.test("every component that the kustomization offers is one, of the files beside it", () => {
  const offered = [...textOf("Kustomization").matchAll(/^# - (\S+)$/gm)].map(([, folder = ""]) => folder);
  // What is no component (Grafana's dashboards, for another namespace) stands by itself.
  const components = folders().filter((folder) =>
    isThere(`${folder}/Kustomization`) && kustomization(folder).kind === "Component"
  );
  assert.deepEqual(offered, components);
  for (const folder of components) {
    const { apiVersion, resources = [], patches = [] } = kustomization(folder);
    assert.equal(apiVersion, "kustomize.config.k8s.io/v1alpha1", folder);
    const files = [...resources, ...patches.map(({ path }) => path)].map((file) => `${folder}/${file}`);
    assert.deepEqual(files, filesIn(folder));
    for (const { path } of patches) assertPatches(`${folder}/${path}`);
  }
});

/** A patch has to find its object. */
function assertPatches(path: string): void {
  for (const { apiVersion, kind, metadata } of documents(path)) {
    const target = applied().find((object) =>
      object.apiVersion === apiVersion && object.kind === kind && object.metadata.name === metadata.name &&
      object.metadata.namespace === metadata.namespace
    );
    assert.ok(target !== undefined, `${path} patches what is not there`);
  }
}

const STRESS = filesIn("stress").flatMap(documents);
const LOADS = STRESS.filter(({ kind }) => kind === "Deployment") as IDeployment[];

Deno.test("the stress is in a namespace of its own, made first, which the agent reports", () => {
  assert.equal(STRESS[0]?.kind, "Namespace");
  assert.equal(STRESS.length, LOADS.length + 1);
  const { name, labels } = STRESS[0].metadata;
  assert.equal(labels?.["pod-security.kubernetes.io/enforce"], "restricted");
  assert.deepEqual(new Set(LOADS.map(({ metadata }) => metadata?.namespace)), new Set([name]));
  assert.ok(!configMap().data?.["KPOD_FILTER_EXCLUDE_NAMESPACES"]?.split(",").includes(name));
});

for (const { metadata, spec } of LOADS) {
  const { template, selector } = spec ?? assert.fail();
  const pod = template.spec ?? assert.fail();

  Deno.test(`the stress ${metadata?.name} selects its own pods`, () => {
    assert.deepEqual(selector.matchLabels, {
      "app.kubernetes.io/name": "kpod-stress",
      "app.kubernetes.io/component": metadata?.name,
    });
    assert.deepEqual(template.metadata?.labels, selector.matchLabels);
  });

  Deno.test(`the stress ${metadata?.name} has no rights, and modest limits`, () => {
    assert.equal(pod.automountServiceAccountToken, false);
    const { runAsNonRoot, runAsUser, seccompProfile } = pod.securityContext ?? {};
    assert.deepEqual([runAsNonRoot, runAsUser, seccompProfile?.type], [true, 65534, "RuntimeDefault"]);
    for (const { securityContext, resources, image } of pod.containers) {
      assert.deepEqual(securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      assert.match(String(resources?.limits?.["cpu"]), /^[1-5]00m$/);
      assert.match(String(resources?.limits?.["memory"]), /^(?:32|64)Mi$/);
      assert.match(String(image), /^(?:busybox:1\.\d+|debian:\d+-slim)$/);
    }
  });

  Deno.test(`the stress ${metadata?.name} is told about, and a shell can read it`, async () => {
    assert.match(textOf("stress/10-workloads.yaml"), new RegExp(`^#   ${metadata?.name} +kpod_`, "m"));
    for (const { name, command, args = [] } of pod.containers) {
      assert.deepEqual(command, ["sh", "-c"], name);
      const { success, stderr } = await new Deno.Command("sh", { args: ["-n", "-c", ...args] }).output();
      assert.ok(success, `${name}: ${new TextDecoder().decode(stderr)}`);
    }
  });
}
