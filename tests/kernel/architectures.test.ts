/** The eBPF programs compile on each architecture that there is an image for, not just on this machine's. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { BPF_FLAGS } from "../../native/flags.ts";
import { isThere } from "../../native/tools.ts";

const BPF = fileURLToPath(new URL("../../bpf", import.meta.url));
const SOURCES = [...Deno.readDirSync(BPF)].map(({ name }) => name).filter((name) => name.endsWith(".bpf.c"));

for (const architecture of ["x86", "arm64"]) {
  Deno.test(`the programs compile on ${architecture}`, { ignore: !isThere("clang") }, async () => {
    assert.ok(SOURCES.length >= 4, SOURCES.join());
    await Promise.all(SOURCES.map(async (source) => {
      const { success, stderr } = await new Deno.Command("clang", {
        args: [
          ...BPF_FLAGS,
          ...[`-D__TARGET_ARCH_${architecture}`, "-I", BPF, "-c", `${BPF}/${source}`, "-o", "/dev/null"],
        ],
      }).output();
      assert.ok(success, new TextDecoder().decode(stderr));
    }));
  });
}
