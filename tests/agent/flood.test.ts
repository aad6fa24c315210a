/** An agent that is connected to by more than it has descriptors for, and more than anybody needs. */
import assert from "node:assert/strict";
import { AgentProcess, eventually } from "./agent.ts";

const ALONE = {
  NODE_NAME: "alone",
  KPOD_KUBELET_URL: "http://127.0.0.1:1",
  KPOD_PROFILE: "minimal",
  KPOD_BPF_ENABLED: "false",
};

/** Connections that say nothing; some may be refused. */
class Idlers implements Disposable {
  readonly #open = new Set<Deno.TcpConn>();

  async connect(url: string, count: number): Promise<void> {
    const { hostname, port } = new URL(url);
    for (let begun = 0; begun < count; begun++) {
      const connection = await Deno.connect({ hostname, port: Number(port) }).catch(() => undefined);
      if (connection === undefined) continue;
      this.#open.add(connection);
      connection.read(new Uint8Array(1)).catch(() => null).then(() => {
        if (this.#open.delete(connection)) connection.close();
      });
    }
  }

  /** How many the agent has not closed. */
  get open(): number {
    return this.#open.size;
  }

  [Symbol.dispose](): void {
    const open = [...this.#open];
    this.#open.clear();
    for (const connection of open) connection.close();
  }
}

Deno.test("of many connections that say nothing most are closed, and scrapes are answered meanwhile", async () => {
  await using agent = await AgentProcess.start(ALONE);
  using idlers = new Idlers();
  await idlers.connect(agent.url, 10_000);
  await agent.scrape();
  await eventually("most are closed", async () => {
    await agent.scrape();
    return idlers.open <= 256 || `${idlers.open} are open`;
  });
  assert.match(agent.log, /too many connections: those that did nothing for longest are closed/);
});

Deno.test("fifty scrapers at once are all answered, in full", async () => {
  await using agent = await AgentProcess.start(ALONE);
  const answers = await Promise.all(Array.from({ length: 50 }, () => agent.scrape()));
  for (const answer of answers) assert.equal(answer.sum("kpod_build_info"), 1);
  assert.doesNotMatch(agent.log, /"level":"(?:warn|error)".*connection/);
});

Deno.test("an agent without a descriptor left serves on when it has some again", async () => {
  await using agent = await AgentProcess.start(ALONE, ["sh", "-c", 'ulimit -n 150 && exec "$@"', "sh"]);
  using idlers = new Idlers();
  await idlers.connect(agent.url, 300);
  await eventually(
    "it cannot accept",
    () => /cannot accept connections; listening anew/.test(agent.log) || agent.log,
  );
  // Its own connections may be among those that go.
  await eventually(
    "it is scraped",
    async () => (await agent.scrape().then(() => true, String)) as true | string,
  );
  assert.ok(idlers.open <= 150, `${idlers.open}`);
});
