/** eBPF objects that are not as they should be. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type ObjectName, OBJECTS } from "../../src/native/signals.ts";

/** Where the good ones are. */
export const BPF = fileURLToPath(new URL("../../bpf", import.meta.url));

/** The objects in a directory of their own. */
export async function copiedObjects() {
  const directory = await Deno.makeTempDir({ prefix: "kpod-objects-" });
  for (const name of OBJECTS) await Deno.copyFile(`${BPF}/${name}.bpf.o`, `${directory}/${name}.bpf.o`);
  return { directory, [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }) };
}

/** A change to a source or a header. */
export type Edit = readonly [file: string, from: string, to: string];

/** Compiles an object after changes to its source or to headers. */
export async function compile(directory: string, name: ObjectName, ...edits: readonly Edit[]): Promise<void> {
  for (const { name: file } of Deno.readDirSync(BPF)) {
    if (/\.[ch]$/.test(file)) await Deno.copyFile(`${BPF}/${file}`, `${directory}/${file}`);
  }
  for (const [file, from, to] of edits) {
    const text = await Deno.readTextFile(`${directory}/${file}`);
    assert.ok(text.includes(from), `${file} has no ${from}`);
    await Deno.writeTextFile(`${directory}/${file}`, text.replace(from, to));
  }
  const target = `-D__TARGET_ARCH_${Deno.build.arch === "aarch64" ? "arm64" : "x86"}`;
  const args = ["-g", "-O2", "-target", "bpf", "-mcpu=v3", target, "-c", `${name}.bpf.c`];
  const { success } = await new Deno.Command("clang", {
    args: [...args, "-o", `${name}.bpf.o`],
    cwd: directory,
  }).spawn().status;
  assert.ok(success);
}
