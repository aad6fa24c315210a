/** What a kernel lacks is found out with the agent's capabilities alone. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { needsPrograms } from "./requirements.ts";

const OWN_OBJECT = fileURLToPath(new URL("own_object.ts", import.meta.url));

Deno.test(
  "a program that asks for a type this kernel lacks loads without CAP_SYS_ADMIN",
  needsPrograms,
  async () => {
    const { code, stderr } = await new Deno.Command("setpriv", {
      args: [
        ...["--bounding-set", "-all,+bpf,+perfmon", "--inh-caps", "-all"],
        ...[Deno.execPath(), "run", "--cached-only", "--allow-all", OWN_OBJECT, "absent", "look_for_type"],
      ],
    }).output();
    assert.deepEqual([new TextDecoder().decode(stderr), code], ["", 0]);
  },
);
