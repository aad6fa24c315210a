/** What a process can still do that has given up its privileges, tried by one. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Capability } from "../../src/native/capabilities.ts";
import type { Dropped } from "../../src/native/privileges.ts";
import { hasLandlock } from "./landlock.ts";
import { needsPrograms } from "./requirements.ts";

type Tries = Readonly<Record<string, string>>;

interface Result {
  readonly directory: string;
  readonly dropped: Dropped;
  readonly before: Tries;
  readonly after: Tries;
}

const SCRIPT = fileURLToPath(new URL("privileged.ts", import.meta.url));

const WRITES = [
  "write to a file",
  "make a file",
  "make a file in another thread",
  "remove a file",
  "make a directory",
  "run a program",
];
const LOOKS = [
  "look into another process's root",
  "look into it in a new thread",
  "read another process's environment",
];

async function run(keep: readonly Capability[], denyWrites: boolean): Promise<Result> {
  const args = ["run", "--allow-all", SCRIPT, JSON.stringify({ keep, denyWrites })];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.notEqual(text, "", errors);
  const result = JSON.parse(text ?? "") as Result;
  await Deno.remove(result.directory, { recursive: true });
  return result;
}

const CASES: readonly (readonly [
  what: string,
  keep: readonly Capability[],
  denyWrites: boolean,
  lost: readonly string[],
])[] = [
  ["with SYS_PTRACE it looks into other processes, and makes no map", ["SYS_PTRACE"], false, ["make a map"]],
  ["with nothing it does not do that either", [], false, ["make a map", ...LOOKS]],
  ["bound by Landlock it changes no file and runs no program", [], true, ["make a map", ...LOOKS, ...WRITES]],
  ["bound by Landlock it looks into no other process, whatever it keeps", ["SYS_PTRACE"], true, [
    "make a map",
    ...LOOKS,
    ...WRITES,
  ]],
];

for (const [what, keep, denyWrites, lost] of CASES) {
  Deno.test(what, { ignore: needsPrograms.ignore || denyWrites && !hasLandlock() }, async () => {
    const { dropped, before, after } = await run(keep, denyWrites);
    assert.ok(Object.values(before).every((result) => result === "yes"), JSON.stringify(before));
    assert.deepEqual([dropped.left, dropped.deniesWrites], [0, denyWrites]);
    assert.ok(dropped.threads > 1);
    const refused = Object.entries(after).filter(([, result]) => result !== "yes");
    assert.deepEqual(refused.map(([name]) => name).sort(), lost.toSorted());
    assert.deepEqual([...new Set(refused.map(([, result]) => result))], ["no"]);
  });
}
