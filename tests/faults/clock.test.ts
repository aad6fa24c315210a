/** A node whose clock is set while the agent runs. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { AgentProcess, NO_TIMER } from "../agent/agent.ts";
import { counted, labelsOf, load, LOAD_SETTINGS } from "../agent/load.ts";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import { isThere } from "../../native/tools.ts";

const SOURCE = fileURLToPath(new URL("clock.c", import.meta.url));
const HOUR = 3_600;

const needsGcc = { ignore: needsPrograms.ignore || !isThere("gcc") };

for (const hours of [1, -1]) {
  Deno.test(
    `a clock that is set by ${hours} h ends no series, forgets no count and moves no cycle`,
    needsGcc,
    async () => {
      await using clock = await Clock.create();
      await using node = await LabNode.start();
      const web = (await node.addPod({ name: "web" })).container();
      await using agent = await AgentProcess.ready({
        ...node.agentEnvironment(),
        ...LOAD_SETTINGS,
        ...NO_TIMER,
        // The lab's certificate is of today, and not valid yet by the earlier clock.
        KPOD_KUBELET_INSECURE_TLS: "true",
      }, clock.wrapper);
      const done = await load(node, web);
      // One that has ended before the kubelet lists it is kept for two intervals, until it has a name.
      const job = await node.addPod({ name: "job" });
      job.listed = false;
      const last = await load(node, job.container());
      await node.stopContainer(job.container(), { exitCode: 0, reason: "Completed" });
      const before = await agent.until("it is seen", (scrape) => scrape.sum("kpod_unattributed_cgroups") > 0);
      clock.set(hours * HOUR);
      assert.equal((await agent.readiness()).status, 200);
      await agent.after(await agent.after(await agent.after(before)));
      job.listed = true;
      const after = await agent.until("the job has a name", (scrape) => scrape.values("pod").has("job"));
      assert.deepEqual(counted(after, labelsOf(job.container())), last);
      assert.deepEqual(counted(after, labelsOf(web)), done);
      const ahead = after.sum("kpod_discovery_last_success_timestamp_seconds") - Date.now() / 1000;
      assert.equal(Math.round(ahead / HOUR), hours, "the clock that the agent sees was set");
    },
  );
}

/** The time of day as one process sees it. */
class Clock implements AsyncDisposable {
  private constructor(private readonly directory: string) {}

  static async create(): Promise<Clock> {
    const clock = new Clock(await Deno.makeTempDir({ prefix: "kpod-clock-" }));
    await Deno.writeFile(clock.#file, new Uint8Array(8));
    const args = ["-shared", "-fPIC", "-O2", "-o", clock.#library, SOURCE];
    const { success, stderr } = await new Deno.Command("gcc", { args }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return clock;
  }

  get #file(): string {
    return `${this.directory}/ahead`;
  }

  get #library(): string {
    return `${this.directory}/clock.so`;
  }

  /** The command that runs another with this clock. */
  get wrapper(): string[] {
    return ["env", `CLOCK_AHEAD=${this.#file}`, `LD_PRELOAD=${this.#library}`];
  }

  /** Sets it this many seconds ahead of the machine's; the file must not be shorter for a moment. */
  set(seconds: number): void {
    using file = Deno.openSync(this.#file, { write: true });
    file.writeSync(new Uint8Array(new BigInt64Array([BigInt(seconds)]).buffer));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}
