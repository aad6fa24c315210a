/**
 * Run by itself: gives up privileges as its argument says, `{"keep": [capability…], "denyWrites": boolean}`, and prints
 * what the process's threads can do before and afterwards.
 */
import { maskOf } from "../../src/native/capabilities.ts";
import { NativeError } from "../../src/native/error.ts";
import { HostRoot } from "../../src/native/host_files.ts";
import { openLibrary } from "../../src/native/library.ts";
import { dropPrivileges } from "../../src/native/privileges.ts";
import { filesystemSizes } from "../../src/native/statfs.ts";

const { keep, denyWrites } = JSON.parse(Deno.args[0] ?? "");
/** Of another process, which has all capabilities. */
const other = Deno.ppid;
const directory = Deno.makeTempDirSync({ prefix: "kpod-privileges-" });
Deno.writeTextFileSync(`${directory}/there`, "");

const TRIES: Readonly<Record<string, () => unknown>> = {
  "read a file": () => Deno.readTextFileSync(new URL(import.meta.url)),
  "write to a file": () => Deno.writeTextFileSync(`${directory}/there`, "more"),
  "make a file": () => Deno.writeTextFileSync(`${directory}/${crypto.randomUUID()}`, ""),
  "make a file in another thread": () => Deno.writeTextFile(`${directory}/${crypto.randomUUID()}`, ""),
  "remove a file": () => Deno.removeSync(`${directory}/there`),
  "make a directory": () => Deno.mkdirSync(`${directory}/${crypto.randomUUID()}`),
  "run a program": () => new Deno.Command("true").outputSync(),
  "look into another process's root": () => HostRoot.open(`/proc/${other}/root`).close(),
  "look into it in a new thread": async () => {
    using proc = HostRoot.open("/proc");
    const [size] = await filesystemSizes(proc, [{ directory: `${other}/root`, path: ".", key: "" }], 1000);
    if (size instanceof NativeError) throw size;
  },
  "read another process's environment": () => HostRoot.open("/proc").readFile(`${other}/environ`),
  "make a map": () => {
    const result = openLibrary().kpod_privileges_suffice_for_maps(maskOf(["BPF"]));
    if (result < 0) throw new NativeError("make a map", result);
  },
};

async function tried(): Promise<Record<string, string>> {
  const results: Record<string, string> = {};
  for (const [name, attempt] of Object.entries(TRIES)) {
    try {
      await attempt();
      results[name] = "yes";
    } catch (error) {
      results[name] = error instanceof NativeError || error instanceof Deno.errors.PermissionDenied
        ? "no"
        : String(error);
    }
    // What the next one needs, as long as it may be made.
    try {
      Deno.writeTextFileSync(`${directory}/there`, "");
    } catch { /* Then it is there. */ }
  }
  return results;
}

const before = await tried();
const dropped = dropPrivileges(keep, denyWrites);
const after = await tried();
console.log(JSON.stringify({ directory, dropped, before, after }));
