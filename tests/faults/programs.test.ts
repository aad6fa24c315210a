/** What goes wrong with eBPF programs and maps costs what they would have counted, and nothing else. */
import assert from "node:assert/strict";
import { needsCompiler, needsPrograms } from "../kernel/requirements.ts";
import { compile, copiedObjects } from "../kernel/spoilt_objects.ts";
import { LabNode } from "../lab/node.ts";
import { AgentProcess, type Scrape, SHORT_INTERVALS } from "../agent/agent.ts";
import { counted, type Counts, labelsOf, load, LOAD_SETTINGS } from "../agent/load.ts";
import { FaultLab, logLines } from "./fault_lab.ts";

interface Fault {
  readonly fault: string;
  readonly spoil: (directory: string) => Promise<void>;
  readonly signals: readonly string[];
  readonly reason: RegExp;
  readonly lost: readonly (keyof Counts)[];
}

const TCP = ["tcp_bytes_sent", "tcp_bytes_received", "tcp_retransmits", "tcp_connections", "tcp_rtt"];

const FAULTS: readonly Fault[] = [
  {
    fault: "is missing",
    spoil: (directory) => Deno.remove(`${directory}/syscall.bpf.o`),
    signals: ["syscall"],
    reason: /^Cannot open .*\/syscall\.bpf\.o: ENOENT/,
    lost: ["reads", "writes", "failedOpens"],
  },
  {
    fault: "is cut short",
    spoil: (directory) => Deno.truncate(`${directory}/net.bpf.o`, 2000),
    signals: TCP,
    reason: /^the file is not an eBPF object: run "deno task build"$/,
    lost: ["sent", "received", "active", "passive", "failures"],
  },
  {
    fault: "is of another build",
    spoil: (directory) =>
      compile(directory, "mem", ["types.h", "\tu64 kills;", "\tu64 other;\n\tu64 kills;"]),
    signals: ["oom", "page_faults"],
    reason: /the value of its map oom is laid out otherwise .*; run "deno task build"$/,
    lost: [],
  },
  {
    fault: "has a program that the verifier refuses",
    spoil: (directory) => compile(directory, "net", ["net.bpf.c", "(u64)tp->srtt_us", "*(u64 *)8"]),
    signals: ["tcp_rtt"],
    reason: /^the kernel's verifier refuses it: /,
    lost: [],
  },
];

for (const { fault, spoil, signals, reason, lost } of FAULTS) {
  Deno.test(
    `an object that ${fault} costs its own signals, which the log and a metric tell`,
    needsCompiler,
    async () => {
      await using objects = await copiedObjects();
      await spoil(objects.directory);
      await using lab = await FaultLab.start({ KPOD_BPF_PROGRAM_DIR: objects.directory });
      const scrape = await lab.agent.fresh();
      const missing = Object.fromEntries(lost.map((count) => [count, 0]));
      assert.deepEqual(counted(scrape, labelsOf(lab.container)), { ...lab.done, ...missing });
      const told = scrape.find("kpod_bpf_program_info", { state: "unavailable" })
        .map(({ labels }) => Object.fromEntries(labels));
      assert.deepEqual([...new Set(told.map(({ signal }) => signal))].sort(), [...signals].sort());
      for (const { reason: said = "" } of told) assert.match(said, reason);
      const logged = logLines(lab.agent).filter(({ message }) => message === "signal is not available");
      assert.deepEqual(logged.map(({ level }) => level), told.map(() => "warn"));
      for (const { reason: said = "" } of logged) assert.match(said, reason);
    },
  );
}

Deno.test(
  "a map that is full refuses new containers, which is told, and has room again when others go",
  needsPrograms,
  async () => {
    const ROOM = 2;
    await using node = await LabNode.start();
    const add = (name: string) => node.addPod({ name, sandboxProcess: false });
    const first = await Promise.all([add("first"), add("second")]);
    await using agent = await AgentProcess.ready({
      ...node.agentEnvironment(),
      ...LOAD_SETTINGS,
      ...SHORT_INTERVALS,
      KPOD_BPF_MAX_CGROUPS: String(ROOM),
    });
    const [kept, gone] = first;
    const done = await load(node, kept.container());
    await load(node, gone.container());
    const third = await add("third");
    await load(node, third.container());
    const refused = (scrape: Scrape) => scrape.sum("kpod_bpf_map_update_errors_total");
    const full = await agent.until("updates are refused", (scrape) => refused(scrape) > 0);
    assert.equal(full.sum("kpod_bpf_map_entries", { map: "tcp" }), ROOM);
    assert.deepEqual(counted(full, labelsOf(kept.container())), done);
    await agent.until(
      "it is told",
      () =>
        logLines(agent).some(({ message }) =>
          message === "map is full: what it refuses is not counted; raise KPOD_BPF_MAX_CGROUPS"
        ),
    );
    await node.removePod(third);
    await node.removePod(gone);
    await agent.until(
      "there is room",
      (scrape) =>
        ["cgroups", "tcp", "cpu_sched"].every((map) => scrape.sum("kpod_bpf_map_entries", { map }) === 1),
    );
    const next = await add("next");
    const later = await load(node, next.container());
    await agent.until("the next is known", (scrape) => scrape.values("pod").has("next"));
    const after = await agent.fresh();
    assert.deepEqual(counted(after, labelsOf(next.container())), later);
    assert.deepEqual(counted(after, labelsOf(kept.container())), done);
    assert.ok(
      logLines(agent).some(({ message }) => message === "map has room again"),
    );
  },
);
