/** Prints, as JSON lines, how each signal is delivered by the kernel this runs on. */
import { fileURLToPath } from "node:url";
import { Programs } from "../../src/native/programs.ts";
import { SIGNALS } from "../../src/native/signals.ts";

using programs = new Programs({
  directory: fileURLToPath(new URL("../../bpf", import.meta.url)),
  signals: SIGNALS.map(({ name }) => name),
  kubepods: { id: 1n << 62n, name: "kubepods" },
  maxCgroups: 64,
  syscalls: [0],
});
for (const state of programs.states) console.log(`@@state ${JSON.stringify(state)}`);
