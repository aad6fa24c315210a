/** A process that may open no more files. Connections it cannot accept are in tests/agent/flood.test.ts. */
import assert from "node:assert/strict";
import { eventually } from "../agent/agent.ts";
import { counted, labelsOf, load } from "../agent/load.ts";
import { countDescriptors } from "../agent/totals.ts";
import { needsPrograms } from "../kernel/requirements.ts";
import { FaultLab, logLines } from "./fault_lab.ts";

/** More than a poll and a scrape hold for a moment, and less than the files of the containers that come. */
const SPARE = 10;
const CONTAINERS = ["a", "b", "c", "d", "e"];

Deno.test(
  "an agent at its limit of open files says so, counts on, and is complete when it may open more",
  needsPrograms,
  async () => {
    await using lab = await FaultLab.start();
    const { agent, node } = lab;
    const open = countDescriptors(agent);
    const before = await lab.limitFiles(open + SPARE);
    const late = await node.addPod({ name: "late", containers: CONTAINERS });
    const expected = [];
    for (const container of late.containers) expected.push(await load(node, container));
    await eventually("it is told", async () => {
      const { status, text } = await agent.readiness();
      return status === 503 && /EMFILE \(too many open files: raise .* LimitNOFILE=/.test(text) || text;
    });
    await lab.work();
    const full = await agent.fresh();
    assert.deepEqual(counted(full, labelsOf(lab.container)), lab.done);
    assert.equal(full.sum("process_max_fds"), open + SPARE);
    assert.ok(full.sum("process_open_fds") > open && full.sum("process_open_fds") <= open + SPARE);
    await lab.limitFiles(before);
    await agent.untilReady();
    const after = await agent.fresh();
    assert.deepEqual(late.containers.map((container) => counted(after, labelsOf(container))), expected);
    assert.deepEqual(counted(after, labelsOf(lab.container)), lab.done);
    const told = logLines(agent).filter(({ message }) => message === "cycle is not complete");
    const causes = told.map(({ reason = "" }) => reason.replace(/[0-9a-f]*\d[0-9a-f]*/g, "#"));
    assert.equal(new Set(causes).size, causes.length, "a cause is told more than once");
    assert.ok(told.some(({ reason = "" }) => reason.includes("LimitNOFILE=")));
  },
);
