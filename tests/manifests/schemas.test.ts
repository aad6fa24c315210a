import assert from "node:assert/strict";
import {
  daemonSet,
  documents,
  filesIn,
  folders,
  objectFiles,
  parseYaml,
  podOf,
  textOf,
} from "./manifests.ts";
import { inAgent, inPod, patched } from "./merge_patch.ts";
import { schemaProblems } from "./schemas.ts";

const FILES = folders().flatMap(filesIn);

for (const path of objectFiles()) {
  Deno.test(`the Kubernetes API knows all of ${path}`, () => {
    const objects = documents(path);
    assert.ok(objects.length > 0);
    for (const object of objects) assert.deepEqual(schemaProblems(object), [], object.kind);
  });
}

Deno.test("all files are strict YAML without tabs, and end in a line feed", () => {
  for (const path of FILES.filter((name) => name.endsWith(".yaml"))) {
    const text = textOf(path);
    assert.ok(parseYaml(text, path).length > 0, path);
    assert.ok(!text.includes("\t"), `${path} has a tab`);
    assert.ok(text.endsWith("\n") && !text.endsWith("\n\n"), `${path} ends otherwise`);
  }
});

for (
  const [mistake, text, message] of [
    ["a key that comes twice", "a: 1\na: 2\n", /unique/],
    ["a tab", "a:\n\tb: 1\n", /[Tt]ab/],
    ["a word that YAML 1.1 takes for a boolean", "a: on\n", /YAML 1\.1/],
    ["a number that YAML 1.1 takes for octal", "a: 010\n", /YAML 1\.1/],
    ["an alias without an anchor", "a: *b\n", /b/],
  ] as const
) {
  Deno.test(`reading the manifests refuses ${mistake}`, () => {
    assert.throws(() => parseYaml(text, "it"), message);
  });
}

/** What somebody may get wrong in the DaemonSet, and what the schema says to it. */
const MISTAKES: readonly { readonly mistake: string; readonly merge: unknown; readonly problem: RegExp }[] = [
  { mistake: "an unknown field of the object", merge: { specs: {} }, problem: /unknown: \/specs$/ },
  {
    mistake: "an unknown field far down",
    merge: inPod({ hostpid: true }),
    problem: /^unknown: \/spec\/template\/spec\/hostpid$/,
  },
  {
    mistake: "an unknown field of a container",
    merge: inAgent({ securityContext: { readonlyRootFilesystem: true } }),
    problem: /^unknown: \/spec\/template\/spec\/containers\/0\/securityContext\/readonlyRootFilesystem$/,
  },
  {
    mistake: "an unknown field of a mount",
    merge: inAgent({ volumeMounts: [{ mountPath: "/host/proc", readonly: true }] }),
    problem: /^unknown: .*\/volumeMounts\/0\/readonly$/,
  },
  {
    mistake: "a number for a text",
    merge: inAgent({ env: [{ name: "KPOD_PROC_ROOT", value: 1 }] }),
    problem: /value must be string/,
  },
  {
    mistake: "a text for a number",
    merge: inPod({ terminationGracePeriodSeconds: "15" }),
    problem: /terminationGracePeriodSeconds must be integer/,
  },
  {
    mistake: "a text for a boolean",
    merge: inPod({ enableServiceLinks: "no" }),
    problem: /enableServiceLinks must be boolean/,
  },
  {
    mistake: "a required field that is missing",
    merge: { spec: { selector: null } },
    problem: /required property selector/,
  },
  {
    mistake: "a mount without a path",
    merge: {
      spec: { template: { spec: { initContainers: [{ name: "x", volumeMounts: [{ name: "y" }] }] } } },
    },
    problem: /required property mountPath/,
  },
  { mistake: "another kind's version", merge: { apiVersion: "apps/v1beta2" }, problem: /no schema/ },
  {
    mistake: "a profile that there is not",
    merge: inPod({ securityContext: { seccompProfile: { type: "Default" } } }),
    problem: /seccompProfile\/type must be equal to one of/,
  },
];

for (const { mistake, merge, problem } of MISTAKES) {
  Deno.test(`the schema finds ${mistake}`, () => {
    const problems = schemaProblems(patched(daemonSet(), merge));
    assert.ok(problems.some((line) => problem.test(line)), problems.join("\n"));
  });
}

Deno.test("the schema is of Kubernetes 1.33 or later", () => {
  const pod = { ...podOf(daemonSet()), hostnameOverride: "since-1-34" };
  assert.deepEqual(schemaProblems(patched(daemonSet(), inPod(pod))), []);
});
