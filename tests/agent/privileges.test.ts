/** What an agent that was started with everything gives up for good, in each of its threads. */
import assert from "node:assert/strict";
import { type Capability, maskOf } from "../../src/native/capabilities.ts";
import { MountedProcess } from "../kernel/mounts.ts";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import { AgentProcess, type Labels, SHORT_INTERVALS } from "./agent.ts";
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
      const pod = await node.addPod({ name: "web" });
      await using mounted = await MountedProcess.start(
        pod.container(),
        "mkdir a && mount -t tmpfs -o size=8m a a",
      );
      await using agent = await AgentProcess.ready({ ...node.agentEnvironment(), ...settings });
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
        assert.match(String(said), new RegExp(`\\b${name} to `));
      }
      if (kept.length === 0) assert.equal(said, "none");
      assert.ok(Number(threads) > 1);
      assert.equal(denies_writes, denies);
    },
  );
}

Deno.test(
  "another kubepods cgroup ends the agent, which could not load programs for it any more",
  needsPrograms,
  async () => {
    await using node = await LabNode.start();
    const first = await node.addPod({ name: "first" });
    await using agent = await AgentProcess.ready({
      ...node.agentEnvironment(),
      ...SHORT_INTERVALS,
      KPOD_PROFILE: "minimal",
    });
    await node.removePod(first);
    for (const level of ["kubepods.slice/kubepods-besteffort.slice", "kubepods.slice"]) {
      await Deno.remove(`${node.root}/${level}`);
    }
    await node.addPod({ name: "second" });
    const { code, log } = await agent.ended;
    assert.equal(code, 1, log);
    assert.match(
      log,
      /"level":"error","message":"pods are in another cgroup now: ending, [^"]*","cgroup":"kubepods.slice"/,
    );
  },
);
