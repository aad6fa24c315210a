/** The task as a process, on a machine whose container engine and cluster tool are scripts. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const RUN = fileURLToPath(new URL("run.ts", import.meta.url));

/** Programs that note what they are called with; `kind create` then waits to be ended. */
const SCRIPT = `#!/bin/sh
echo "$(basename "$0") $*" >> "$NOTES/calls"
[ "$(basename "$0") $1" != "kind create" ] || exec sleep 1000
`;

/** Starts the task with these programs alone, besides those of the system. */
async function start(directory: string, programs: readonly string[], args: readonly string[]) {
  for (const program of programs) {
    await Deno.writeTextFile(`${directory}/${program}`, SCRIPT, { mode: 0o755 });
  }
  await Deno.writeTextFile(`${directory}/calls`, "");
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", RUN, ...args],
    env: { PATH: `${directory}:/usr/bin:/bin`, NOTES: directory, TMPDIR: directory, NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function inDirectory(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "kpod-task-" });
  try {
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const decoder = new TextDecoder();

Deno.test("interrupted while it makes the cluster, the task removes it and its own files, and ends with 130", () =>
  inDirectory(async (directory) => {
    const changes = Deno.watchFs(directory);
    const task = await start(directory, ["docker", "kind", "kubectl"], ["--tool", "kind"]);
    const output = task.output();
    for await (const _ of changes) {
      if ((await Deno.readTextFile(`${directory}/calls`)).includes("kind create")) break;
    }
    task.kill("SIGINT");
    const { code, stdout } = await output;
    assert.equal(code, 130, decoder.decode(stdout));
    const calls = (await Deno.readTextFile(`${directory}/calls`)).trim().split("\n");
    assert.equal(calls.at(-1), "kind delete cluster --name kpod-metrics-test");
    const left = [...Deno.readDirSync(directory)].filter(({ name }) => name.startsWith("kpod-cluster-"));
    assert.deepEqual(left, []);
  }));

Deno.test("a machine without a container engine is told what it lacks, with 3", () =>
  inDirectory(async (directory) => {
    for (const engine of ["docker", "podman"]) {
      await Deno.writeTextFile(`${directory}/${engine}`, "#!/bin/sh\necho stopped >&2\nexit 1\n", {
        mode: 0o755,
      });
    }
    const { code, stdout } = await (await start(directory, ["kubectl"], [])).output();
    assert.equal(code, 3);
    assert.match(decoder.decode(stdout), /✗ machine: the test cannot run here, and nothing was checked\n/);
    assert.match(decoder.decode(stdout), /docker: stopped; podman: stopped.*start docker/);
  }));

Deno.test("flags that cannot be used end it with 2 and the usage, --help with 0", () =>
  inDirectory(async (directory) => {
    const wrong = await (await start(directory, [], ["--tool", "k3d"])).output();
    assert.equal(wrong.code, 2);
    assert.match(
      decoder.decode(wrong.stderr),
      /^test:cluster: --tool: got k3d.*\n\nUsage: deno task test:cluster/,
    );
    const help = await (await start(directory, [], ["--help"])).output();
    assert.equal(help.code, 0);
    assert.match(decoder.decode(help.stdout), /^Usage: deno task test:cluster/);
  }));
