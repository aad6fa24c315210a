/** An agent that ends in the middle of things leaves nothing, and the next one begins at once. */
import assert from "node:assert/strict";
import { isLoaded, programsOf } from "../agent/loaded_programs.ts";
import { eventually } from "../agent/agent.ts";
import { plus } from "../agent/load.ts";
import { needsPrograms } from "../kernel/requirements.ts";
import { FaultLab } from "./fault_lab.ts";

Deno.test(
  "an agent that is killed leaves no program, and one started at once counts all from then on",
  needsPrograms,
  async () => {
    await using lab = await FaultLab.start();
    const programs = programsOf(lab.agent.pid);
    assert.ok(programs.length >= 11, `${programs.length} programs`);
    assert.ok(programs.every(isLoaded));
    lab.agent.kill("SIGKILL");
    await lab.startAgent();
    await lab.agent.untilReady();
    assert.equal(programsOf(lab.agent.pid).length, programs.length);
    await eventually(
      "the old ones are gone",
      () => !programs.some(isLoaded) || `${programs.filter(isLoaded)}`,
    );
    lab.done = plus();
    await lab.work();
    await lab.assertCounted();
  },
);

Deno.test(
  "an agent that is told to end while it starts, or in a cycle, ends well and leaves no program",
  needsPrograms,
  async () => {
    await using lab = await FaultLab.start();
    const begin: readonly (() => unknown)[] = [
      () => lab.agent.log,
      () => void fetch(`${lab.agent.url}/metrics`).then((response) => response.text()).catch(() => ""),
    ];
    const programs = new Set<number>();
    for (const disturb of begin) {
      for (const id of programsOf(lab.agent.pid)) programs.add(id);
      disturb();
      const { code, log } = await lab.agent.stop();
      assert.equal(code, 0, log);
      assert.match(log, /"message":"stopped"\}\n$/);
      // It listens before it loads its programs and makes its first cycle.
      await lab.startAgent();
    }
    const { code, log } = await lab.agent.stop();
    assert.equal(code, 0, log);
    assert.match(log, /"message":"stopped"\}\n$/);
    await eventually("all are gone", () => ![...programs].some(isLoaded) || "some are loaded");
  },
);
