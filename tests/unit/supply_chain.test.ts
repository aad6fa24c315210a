/** Packages: which ones go in is decided by deno.lock alone, and none of them runs anything when it is installed. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const text = (path: string) => Deno.readTextFileSync(`${ROOT}${path}`);

/** Everything that may hold a command, this file aside, from the root of the project. */
const FILES = ["deno.json", "Dockerfile", ".ci", ".github", "docs", "native", "tests"].flatMap(
  filesOf,
)
  .filter((path) => !path.endsWith(".md") && path !== "tests/unit/supply_chain.test.ts");

function filesOf(path: string): string[] {
  if (!Deno.statSync(`${ROOT}${path}`).isDirectory) return [path];
  return [...Deno.readDirSync(`${ROOT}${path}`)].filter(({ name }) => name !== "build" && name !== "fixtures")
    .flatMap(({ name }) => filesOf(`${path}/${name}`));
}

async function deno(cwd: string, ...args: string[]): Promise<{ code: number; errors: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd, env: { NO_COLOR: "1" } })
    .output();
  return { code, errors: new TextDecoder().decode(stderr) };
}

for (
  const command of [
    ["install"],
    ["run", "mod.ts"],
    ["test", "mod.ts"],
    ["check", "mod.ts"],
    ["task", "docs"],
  ]
) {
  Deno.test(`deno ${command.join(" ")} refuses a lock file that lacks a dependency, and leaves it so`, async () => {
    const directory = await Deno.makeTempDir({ prefix: "kpod-lock-" });
    try {
      const lock = JSON.parse(text("deno.lock"));
      lock.workspace.dependencies.pop();
      const tampered = JSON.stringify(lock);
      await Deno.copyFile(`${ROOT}deno.json`, `${directory}/deno.json`);
      await Deno.writeTextFile(`${directory}/deno.lock`, tampered);
      await Deno.writeTextFile(`${directory}/mod.ts`, 'import "zod";');
      const { code, errors } = await deno(directory, ...command);
      assert.match(errors, /The lockfile is out of date/);
      assert.equal(code, 1);
      assert.equal(await Deno.readTextFile(`${directory}/deno.lock`), tampered);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

Deno.test("no command goes round the lock file, or lets packages run their install scripts", () => {
  assert.ok(FILES.includes("Dockerfile") && FILES.includes(".ci/run"), FILES.join());
  for (const path of FILES) {
    assert.doesNotMatch(text(path), /--no-lock|--frozen(?:-lockfile)?=false|--lock\b/, path);
    assert.doesNotMatch(text(path), /allow-?scripts|approve-scripts/i, path);
    for (const [command] of text(path).matchAll(/\bnpm (?:install|ci|i|add|exec)\b.*/g)) {
      assert.match(command, /--ignore-scripts/, `${path}: ${command}`);
    }
  }
});
