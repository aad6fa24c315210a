/** The native library as it was built: what keeps a mistake in it from being of use to anybody. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const LIBRARY = fileURLToPath(new URL("../../native/build/libkpod.so", import.meta.url));

function said(program: string, ...args: readonly string[]): string[] {
  const { success, stdout, stderr } = new Deno.Command(program, { args: [...args, LIBRARY] }).outputSync();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).split("\n").map((line) => line.trim());
}

const dynamic = said("readelf", "--wide", "--dynamic");
const segments = said("readelf", "--wide", "--program-headers");
const symbols = said("readelf", "--wide", "--dyn-syms").flatMap((line) => {
  const [, , , type, , , section, name] = line.split(/\s+/);
  return name === undefined ? [] : [{ type, section, name: name.replace(/@.*/, "") }];
});
const taken = symbols.filter(({ section }) => section === "UND").map(({ name }) => name);
const exported = symbols.filter(({ type, section }) => type === "FUNC" && section !== "UND").map(({ name }) =>
  name
);

Deno.test("what the loader fills in is read-only before the first call: RELRO, and everything bound at once", () => {
  assert.equal(segments.filter((line) => line.startsWith("GNU_RELRO")).length, 1);
  assert.ok(dynamic.some((line) => /\(FLAGS\).*\bBIND_NOW\b/.test(line)), dynamic.join("\n"));
  assert.ok(!dynamic.some((line) => /TEXTREL|RPATH|RUNPATH/.test(line)), dynamic.join("\n"));
});

Deno.test("nothing that can be written can be executed, the stack neither", () => {
  const flags = (kind: string) =>
    segments.filter((line) => line.startsWith(`${kind} `)).map((line) =>
      line.split(/\s+/).slice(6, -1).join("")
    );
  assert.deepEqual(flags("GNU_STACK"), ["RW"]);
  assert.ok(flags("LOAD").includes("RE") && flags("LOAD").includes("RW"), flags("LOAD").join());
  assert.deepEqual(flags("LOAD").filter((flag) => /W/.test(flag) && /E/.test(flag)), []);
});

Deno.test("stacks and buffers whose sizes the compiler knows are checked at run time", () => {
  assert.ok(taken.includes("__stack_chk_fail"), taken.join());
  for (const checked of ["__memcpy_chk", "__snprintf_chk", "__vsnprintf_chk"]) {
    assert.ok(taken.includes(checked), `${checked} is not among ${taken.join()}`);
  }
  assert.deepEqual(taken.filter((name) => /^v?s?n?printf$|^(str|stp)n?c(py|at)$|^gets$/.test(name)), []);
});

Deno.test("only the library's own functions are seen from outside", () => {
  assert.ok(exported.length > 20, exported.join());
  assert.deepEqual(exported.filter((name) => !name.startsWith("kpod_")), []);
});

Deno.test("jumps may land at the beginnings of exported functions, which say so", () => {
  const landing = Deno.build.arch === "aarch64" ? /^(bti|paciasp)\b/ : /^endbr64\b/;
  const code = said("objdump", "--disassemble", "--no-show-raw-insn", "--section=.text");
  for (const name of exported) {
    const at = code.findIndex((line) => line.endsWith(`<${name}>:`));
    assert.ok(at >= 0, `there is no code of ${name}`);
    assert.match(code[at + 1]?.replace(/^[0-9a-f]+:\s*/, "") ?? "", landing, name);
  }
});
