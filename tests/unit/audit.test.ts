/** Known vulnerabilities of what is shipped, by a stand-in for the npm registry. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { audit } from "../../native/supply/audit.ts";
import { shippedPackages } from "../../native/supply/packages.ts";
import { project } from "./shipped_project.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** Answers the question for advisories, and keeps what it was asked. */
class Registry implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  /** Versions asked about, by package. */
  asked: Record<string, string[]> = {};

  /** `answer` is the body, a number the status of a refusal. */
  constructor(answer: unknown) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      const encoding = request.headers.get("content-encoding");
      const body = encoding === null
        ? request.body
        : request.body?.pipeThrough(new DecompressionStream(encoding as CompressionFormat));
      this.asked = await new Response(body ?? null).json();
      return typeof answer === "number" ? new Response("no", { status: answer }) : Response.json(answer);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** No settings of this machine's user, whose registry would come first. */
const environment = (registry: string, home: string) => ({
  NPM_CONFIG_REGISTRY: registry,
  HOME: home,
  NO_COLOR: "1",
});

const ADVISORY = {
  id: 1,
  url: "https://advisories.example/1",
  title: "Opens the door",
  severity: "low",
  vulnerable_versions: "<2.0.0",
};

for (
  const { what, answer, found, said } of [
    {
      what: "an advisory is found",
      answer: { near: [ADVISORY] },
      found: true,
      said: /Opens the door[^]+near/,
    },
    { what: "no advisory is none found", answer: {}, found: false, said: /^No known vulnerabilities found$/ },
    {
      what: "a registry that refuses is told",
      answer: 500,
      found: false,
      said: /^Failed to get data from the registry: /,
    },
  ]
) {
  Deno.test(what, async () => {
    using fake = project({
      imports: { near: "npm:near@1.0.0" },
      packages: { "near@1.0.0": { license: "MIT" } },
    });
    await using registry = new Registry(answer);
    const result = await audit(fake.directory, environment(registry.url, fake.directory));
    assert.match(result.said, said);
    assert.equal(result.found, found);
    assert.deepEqual(registry.asked, { near: ["1.0.0"] });
  });
}

Deno.test("a registry that does not answer is told", async () => {
  using fake = project({
    imports: { near: "npm:near@1.0.0" },
    packages: { "near@1.0.0": { license: "MIT" } },
  });
  const registry = new Registry({});
  const { url } = registry;
  await registry[Symbol.asyncDispose]();
  const { found, said } = await audit(fake.directory, environment(url, fake.directory));
  assert.match(said, /^Failed to get data from the registry: error sending request/);
  assert.equal(found, false);
});

Deno.test("it is asked about what is shipped, and not about what is for tests", async () => {
  using home = project({ imports: {}, packages: {} });
  await using registry = new Registry({});
  await audit(ROOT, environment(registry.url, home.directory));
  const { imports } = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.json`));
  for (const { name, version } of shippedPackages(ROOT)) {
    assert.deepEqual(registry.asked[name], [version], name);
  }
  for (const name of ["yaml", "ajv", "kubernetes-models"]) {
    assert.ok(name in imports && !(name in registry.asked), name);
  }
});
