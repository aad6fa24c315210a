/** What an agent that was started with everything gives up for good, in each of its threads. */
import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { type Capability, hasCapability, maskOf } from "../../src/native/capabilities.ts";
import { MountedProcess } from "../kernel/mounts.ts";
import { needsPrograms } from "../kernel/requirements.ts";
import { findCgroup2Mount } from "../lab/cgroups.ts";
import { LabNode } from "../lab/node.ts";
import type { LabContainer, LabPod } from "../lab/pods.ts";
import { AgentProcess, eventually, type Labels, SHORT_INTERVALS } from "./agent.ts";
import { setOf, threadsOf } from "./threads.ts";

const LOOKING: readonly Capability[] = ["SYS_PTRACE", "DAC_READ_SEARCH"];

const CASES:
  readonly (readonly [what: string, settings: Labels, kept: readonly Capability[], denies: boolean])[] = [
    ["in the profile minimal", { KPOD_PROFILE: "minimal" }, [], true],
    ["in the profile standard", { KPOD_PROFILE: "standard" }, LOOKING, false],
    ["in the profile comprehensive", { KPOD_PROFILE: "comprehensive" }, LOOKING, false],
    ["without eBPF", { KPOD_PROFILE: "minimal", KPOD_BPF_ENABLED: "false" }, [], true],
    ["without eBPF, with filesystems", { KPOD_BPF_ENABLED: "false" }, LOOKING, false],
  ];

/** Takes a container's cgroup, the mount of cgroup v2, a directory for that, and the command. */
const INSIDE = `
  echo $$ > "$0/cgroup.procs"
  exec unshare --cgroup --mount --propagation private sh -ec '
    mount --bind "$0" "$1"
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    shift
    exec "$@"' "$@"`;

/** Runs the agent, with everything that root has, in a container of the node. */
async function startInside(
  node: LabNode,
  { cgroup = "" }: LabContainer,
  settings: Labels,
): Promise<AgentProcess> {
  const [mount, host] = [findCgroup2Mount(), `${node.directory}/cgroup`];
  await Deno.mkdir(host);
  return await AgentProcess.ready({
    ...node.agentEnvironment(),
    KPOD_CGROUP_ROOT: join(host, relative(mount, node.root)),
    ...settings,
  }, ["sh", "-ec", INSIDE, cgroup, mount, host]);
}

/** What is said in the log when privileges are dropped. */
function told({ log }: AgentProcess): Record<string, unknown> {
  const lines = log.trim().split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const [line, ...others] = lines.filter(({ message }) => message === "privileges are dropped");
  assert.deepEqual(others, [], "once");
  return line ?? {};
}

for (const [what, settings, kept, denies] of CASES) {
  Deno.test(
    `${what} every thread keeps ${kept.join(" and ") || "nothing"}, and the agent goes on`,
    needsPrograms,
    async () => {
      await using node = await LabNode.start();
      const [pod, own] = [await node.addPod({ name: "web" }), await node.addPod({ name: "agent" })];
      await using mounted = await MountedProcess.start(
        pod.container(),
        "mkdir a && mount -t tmpfs -o size=8m a a",
      );
      await using agent = await startInside(node, own.container(), settings);
      const expected = maskOf(kept);
      for (let cycle = 0; cycle < 3; cycle++) {
        const scrape = await agent.fresh();
        for (const status of threadsOf(agent.pid)) {
          for (const set of ["CapPrm", "CapEff", "CapBnd"] as const) {
            assert.equal(setOf(status, set), expected, `${set} in ${status}`);
          }
          for (const set of ["CapInh", "CapAmb"] as const) assert.equal(setOf(status, set), 0n, status);
          assert.match(status, /^NoNewPrivs:\t1$/m);
        }
        assert.ok(scrape.find("kpod_collector_up").every(({ value }) => value === 1), agent.log);
        const maps = scrape.find("kpod_bpf_map_entries").length;
        assert.equal(maps > 0, settings.KPOD_BPF_ENABLED !== "false");
      }
      if (kept.length > 0) {
        await agent.until(
          "its filesystems are seen",
          (scrape) =>
            scrape.sum("kpod_fs_capacity_bytes", { mountpoint: `${mounted.directory}/a` }) === 8 << 20,
        );
      }
      const { kept: said, denies_writes, threads } = told(agent);
      for (const name of kept) {
        assert.match(String(said), new RegExp(`\\b${name}(?:, \\w+)* to `));
      }
      if (kept.length === 0) assert.equal(said, "none");
      assert.ok(Number(threads) > 1);
      assert.equal(denies_writes, denies);
    },
  );
}

/** Takes all pods away, and the cgroup they were in; others, added later, are in another one. */
async function removeAll(node: LabNode, ...pods: readonly LabPod[]): Promise<void> {
  for (const pod of pods) await node.removePod(pod);
  for (const level of ["kubepods.slice/kubepods-besteffort.slice", "kubepods.slice"]) {
    await Deno.remove(`${node.root}/${level}`);
  }
}

const MINIMAL = { ...SHORT_INTERVALS, KPOD_PROFILE: "minimal" };

Deno.test(
  "an agent outside of the pods keeps what it takes to load programs again, and does",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    const first = await node.addPod({ name: "first" });
    await using agent = await AgentProcess.ready({ ...node.agentEnvironment(), ...MINIMAL });
    const had = Deno.readTextFileSync("/proc/self/status");
    const loading = (["BPF", "PERFMON", "SYS_RESOURCE"] as const).filter((name) => hasCapability(had, name));
    for (const status of threadsOf(agent.pid)) {
      assert.equal(setOf(status, "CapPrm"), maskOf(loading), status);
    }
    assert.match(String(told(agent).kept), /^BPF, PERFMON to load eBPF programs again/);
    await removeAll(node, first);
    const second = await node.addPod({ name: "second" });
    const calls = await node.run(second.container(), ["syscalls"]);
    await eventually(
      "it watches the other cgroup",
      () => agent.log.match(/"watching pods"/g)?.length === 2 || agent.log,
    );
    await calls.go(10);
    await agent.until(
      "it counts in it",
      (scrape) => scrape.sum("kpod_cpu_context_switches_total", { pod: "second" }) > 0,
    );
  },
);

Deno.test(
  "an agent that was in a pod and is to watch other pods ends, as it cannot load programs",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    const own = await node.addPod({ name: "agent" });
    await using agent = await startInside(node, own.container(), MINIMAL);
    const away = `${node.root}/away`;
    await Deno.mkdir(away);
    await Deno.writeTextFile(`${away}/cgroup.procs`, String(agent.pid));
    await removeAll(node, own);
    await node.addPod({ name: "second" });
    const { code, log } = await agent.ended;
    await Deno.remove(away);
    assert.equal(code, 1, log);
    assert.match(
      log,
      /"level":"error","message":"pods are in another cgroup now: ending, [^"]*","cgroup":"kubepods.slice"/,
    );
  },
);
