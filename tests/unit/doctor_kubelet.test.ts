/** What the preflight says of the kubelet and its pods. */
import assert from "node:assert/strict";
import type { ContainerCgroup } from "../../src/cgroup/hierarchy.ts";
import {
  KUBELET_ERROR_REASONS,
  KubeletError,
  type KubeletErrorReason,
} from "../../src/discovery/kubelet_error.ts";
import type { Pod } from "../../src/discovery/pod.ts";
import { askKubelet, kubeletFindings, podFindings } from "../../src/doctor/kubelet.ts";
import { assertFinding } from "./doctor_files.ts";

const KUBELET = { url: new URL("https://10.0.0.1:10250"), timeoutMs: 5_000 };

/** The checks that are made when a poll fails for this reason, the last of which fails. */
const STAGES: Readonly<Record<KubeletErrorReason, readonly string[]>> = {
  connect: ["kubelet"],
  tls: ["kubelet"],
  timeout: ["kubelet"],
  http: ["kubelet"],
  body: ["kubelet"],
  credentials: ["kubelet authentication"],
  unauthorized: ["kubelet", "kubelet authentication"],
  forbidden: ["kubelet", "kubelet authentication", "kubelet authorization"],
};

for (const reason of KUBELET_ERROR_REASONS) {
  Deno.test(`a poll that fails for ${reason} tells what works, what does not, and what to do`, async () => {
    const error = new KubeletError(reason, "Cannot list pods at there: got this; do that; or that");
    const findings = kubeletFindings(KUBELET, await askKubelet(() => Promise.reject(error)));
    assert.deepEqual(findings.map(({ check }) => check), STAGES[reason]);
    for (const finding of findings.slice(0, -1)) assertFinding(finding, ["ok", /answers|accepted/]);
    const advice = reason === "timeout" ? /^see in .*log.* 5000 ms/ : /^do that; or that$/;
    assertFinding(findings.at(-1), ["fail", /^Cannot list pods at there: got this$/, advice]);
  });
}

Deno.test("an answer that is no list of pods, and an error without advice, are failures with one", async () => {
  for (
    const [error, found] of [
      [new KubeletError("body", "Cannot list pods: got no list"), /^Cannot list pods: got no list$/],
      [new Error("all wrong"), /^all wrong$/],
    ] as const
  ) {
    const findings = kubeletFindings(KUBELET, await askKubelet(() => Promise.reject(error)));
    assert.equal(findings.length, 1);
    assertFinding(findings[0], ["fail", found, /KPOD_KUBELET_URL/]);
  }
});

Deno.test("a good answer is three checks passed, of which plain HTTP says less", async () => {
  const outcome = await askKubelet(() => Promise.resolve({ pods: [], malformed: [] }));
  const [reached, authenticated, authorized] = kubeletFindings(KUBELET, outcome);
  assertFinding(reached, ["ok", /^https:\/\/10\.0\.0\.1:10250 answers$/]);
  assertFinding(authenticated, ["ok", /^accepted$/]);
  assertFinding(authorized, ["ok", /^may list pods: 0 listed$/]);
  const plain = kubeletFindings({ ...KUBELET, url: new URL("http://127.0.0.1:10255") }, outcome);
  assertFinding(plain[1], ["ok", /^none, over plain HTTP$/]);
});

const NO_FILTER = { namespaces: [], excludeNamespaces: [], labelSelector: [] };

function pod(uid: string, ...ids: string[]): Pod {
  const containers = ids.map((id) => ({ name: id, kind: "container" as const, ids: [id] }));
  return { uid, namespace: "default", name: uid, labels: {}, hostNetwork: false, containers };
}

let next = 1n;
const cgroup = (podUid: string, containerId: string) =>
  ({ id: next++, podUid, containerId }) as ContainerCgroup;

Deno.test("pods are matched with cgroups, and sandboxes told from containers", () => {
  const list = { pods: [pod("a", "a1", "a2"), pod("done", "d1")], malformed: [] };
  const cgroups = [cgroup("a", "pause"), cgroup("a", "a1"), cgroup("a", "a2")];
  const [match, filter, ...more] = podFindings(list, cgroups, NO_FILTER);
  assertFinding(match, [
    "ok",
    /^1 of 2 listed pods have cgroups; of 3 containers' cgroups 2 have a name, 1 are sandboxes, 0 are of unlisted/,
  ]);
  assertFinding(filter, ["ok", /^1 of 1 pods with cgroups are reported$/]);
  assert.deepEqual(more, []);
});

Deno.test("cgroups of pods that are not listed are a warning, and nothing but such a failure", () => {
  const cgroups = [cgroup("a", "a1"), cgroup("b", "b1")];
  const found = (named: number, unlisted: number) =>
    new RegExp(`${named} have a name.*${unlisted} are of unlisted pods`);
  const advice = /again in a minute.*KPOD_KUBELET_URL.*KPOD_CGROUP_ROOT/;
  const [partly] = podFindings({ pods: [pod("a", "a1")], malformed: [] }, cgroups, NO_FILTER);
  assertFinding(partly, ["warn", found(1, 1), advice]);
  const [elsewhere] = podFindings({ pods: [pod("x", "x1")], malformed: [] }, cgroups, NO_FILTER);
  assertFinding(elsewhere, ["fail", found(0, 2), advice]);
  const [idle] = podFindings({ pods: [], malformed: [] }, [], NO_FILTER);
  assertFinding(idle, ["ok", found(0, 0)]);
});

Deno.test("a filter that leaves out every pod is a warning", () => {
  const excluding = { ...NO_FILTER, excludeNamespaces: ["default"] };
  const list = { pods: [pod("a", "a1"), pod("b")], malformed: [] };
  const [, filter] = podFindings(list, [cgroup("a", "a1")], excluding);
  assertFinding(filter, ["warn", /^0 of 1 pods/, /KPOD_FILTER_EXCLUDE_NAMESPACES/]);
});

Deno.test("pods that cannot be read are a warning with an example", () => {
  const malformed = [{ pod: "default/odd", problem: "metadata.uid: invalid" }, {
    pod: "items[3]",
    problem: "x",
  }];
  const [, , unreadable] = podFindings({ pods: [], malformed }, [], NO_FILTER);
  assertFinding(unreadable, ["warn", /^2 cannot be read: default\/odd, metadata\.uid/, /kubelet's version/]);
});
