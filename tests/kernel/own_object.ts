/** The tests' own eBPF programs, `*.bpf.c` here, which `deno task build` compiles. */
import { fileURLToPath } from "node:url";
import { BpfObject } from "../../src/native/bpf.ts";

const DIRECTORY = fileURLToPath(new URL("build", import.meta.url));

/** Sets the constants of an object of one program, loads it and attaches the program. */
export function attachOwn(
  name: string,
  program: string,
  constants: Readonly<Record<string, Uint32Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>>>,
): BpfObject {
  const object = new BpfObject(`${DIRECTORY}/${name}.bpf.o`);
  try {
    object.useLayouts(object.btf().mapLayouts());
    for (const [constant, value] of Object.entries(constants)) {
      object.setConstant(constant, new Uint8Array(value.buffer));
    }
    object.load();
    object.attach(program);
    return object;
  } catch (error) {
    object.close();
    throw error;
  }
}

/** Run by tests in processes that lack something: attaches one program, whose object and name are the arguments. */
if (import.meta.main) {
  const [object = "", program = ""] = Deno.args;
  attachOwn(object, program, {}).close();
}
