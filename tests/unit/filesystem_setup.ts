/** The collector of filesystems over stand-ins for processes, mounts and filesystems. */
import assert from "node:assert/strict";
import { filesystemCollector } from "../../src/collectors/filesystem.ts";
import { type ProcessCycle, Processes } from "../../src/collectors/processes.ts";
import { FakeHost } from "./fake_host.ts";
import { liveCgroup, processCycle } from "./fake_proc.ts";

/** Patience of the tests: what is to come in time is there at once. */
export const WAIT_MS = 20;

/** A container's root, as its mountinfo has it, and something mounted in it. */
export const ROOT = "1 0 0:1 / / rw - overlay overlay rw";
export const DATA = "2 1 0:2 / /data rw - tmpfs tmpfs rw";

/** Effective capabilities as in /proc/PID/status. */
export const [NONE, SYS_PTRACE] = ["0000000000000000", "0000000000080000"] as const;

/** A host with containers, each with one process. */
export function setUp(
  containers: Readonly<Record<string, number>> = { main: 7 },
  capabilities: string = NONE,
) {
  const host = new FakeHost();
  const lines: string[] = [];
  const log = (level: string) => (message: string, fields: object = {}) =>
    void lines.push(`${level} ${message} ${Object.values(fields).join(" ")}`);
  const { proc, measure } = host;
  const processes = new Processes(proc);
  const time = { now: 0 };
  const collector = filesystemCollector(proc, processes, { info: log("info"), warn: log("warn") }, {
    waitMs: WAIT_MS,
    clock: () => time.now,
    status: () => `CapEff:\t${capabilities}\n`,
    measure,
  });
  const targets = Object.keys(containers).map((container) => ({
    podUid: "u",
    labels: { namespace: "n", pod: "p", container, node: "k" },
  }));
  const live = targets.map((target, index) => ({ ...liveCgroup(BigInt(index + 10), `c${index}`), target }));
  Object.values(containers).forEach((pid, index) => proc.put(`/c${index}`, pid));
  const cycle: ProcessCycle = processCycle(live);
  return {
    host,
    proc,
    time,
    collector,
    lines,
    cycle,
    /** Runs a cycle; returns `container mountpoint capacity usage available`, in order. */
    async collect(of: ProcessCycle = cycle): Promise<string[]> {
      const families = await collector.collect({ ...of });
      const [capacity, usage, available] = families.map((family) => {
        assert.ok(family.type !== "histogram");
        return family.samples;
      });
      return (capacity ?? []).map(({ labels, value }, index) =>
        [labels.container, labels.mountpoint, value, usage?.[index]?.value, available?.[index]?.value].join(
          " ",
        )
      ).sort();
    },
    async timeouts(): Promise<number | undefined> {
      const families = await collector.collect({ ...cycle, targets: { live: () => [] } });
      const family = families.find(({ name }) => name === "kpod_fs_timeouts_total");
      return family?.type === "counter" ? family.samples[0]?.value : undefined;
    },
  };
}
