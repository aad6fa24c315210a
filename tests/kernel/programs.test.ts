/** Which programs are loaded, what is said of those that cannot be, and what is left of them afterwards. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { layoutsModule } from "../../native/generate_layouts.ts";
import { createLogger } from "../../src/log.ts";
import { createCollectors } from "../../src/collectors/list.ts";
import { hasTaskStorage } from "../../src/native/bpf.ts";
import { OBJECTS, type Rung, type Signal, SIGNALS } from "../../src/native/signals.ts";
import { PROFILES } from "../../src/profiles.ts";
import { loadPrograms, type States } from "./load_states.ts";
import { heldIds, kernelIds } from "./kernel_ids.ts";
import { needsPrograms } from "./requirements.ts";
import { until } from "./until.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BPF = `${ROOT}bpf`;
const OPTIONS = {
  histogramResolution: "coarse",
  syscalls: [],
  procRoot: "/proc",
  sysRoot: "/sys",
  log: createLogger("error", "text"),
} as const;
const LAYOUTS_PATH = `${ROOT}src/native/layouts.gen.ts`;

/** The way in which a signal is delivered, by its first program. */
function rungTaken({ name, rungs }: Signal, states: States): Rung {
  const [first] = states.filter(({ signal }) => signal === name);
  const rung = rungs.find(({ programs }) => programs[0] === first?.program);
  assert.ok(rung, `signal ${name} uses ${first?.program}`);
  return rung;
}

for (const [profile, collectors] of Object.entries(PROFILES)) {
  Deno.test(
    `the ${profile} profile loads the programs and maps it uses, and closing leaves none`,
    needsPrograms,
    async () => {
      const { signals } = createCollectors({ ...OPTIONS, collectors });
      const wanted = SIGNALS.filter(({ name }) => signals.includes(name));
      const before = heldIds();
      const programs = loadPrograms(BPF, signals);
      const rungs = wanted.map((signal) => rungTaken(signal, programs.states));
      const names = new Set(rungs.flatMap(({ programs, cleaners = [] }) => [
        ...programs,
        ...hasTaskStorage() ? [] : cleaners,
      ]));
      const maps = new Set([
        "cgroups",
        "update_errors",
        ...wanted.flatMap((signal) => signal.maps as readonly string[]),
        ...rungs.flatMap(({ maps = [] }) => maps),
      ]);
      const held = {
        programs: heldIds().programs.difference(before.programs),
        maps: heldIds().maps.difference(before.maps),
      };
      try {
        assert.ok(programs.states.every(({ state }) => state === "attached"));
        assert.deepEqual(new Set(programs.programs().map(({ program }) => program)), names);
        assert.deepEqual(new Set(programs.maps().keys()), maps);
        assert.ok(programs.programs().every(({ attached }) => attached > 0));
        assert.equal(held.programs.size, names.size);
        // Besides, each object has one or two maps for its constants and variables.
        const objects = new Set(wanted.map(({ object }) => object)).size;
        assert.ok(held.maps.size <= maps.size + 2 * objects, `${held.maps.size} maps`);
        assert.ok(held.programs.isSubsetOf(kernelIds().programs));
      } finally {
        programs.close();
      }
      assert.deepEqual(heldIds(), before);
      // The kernel frees them a little later.
      await until("the programs are gone", () => kernelIds().programs.isDisjointFrom(held.programs));
      await until("the maps are gone", () => kernelIds().maps.isDisjointFrom(held.maps));
    },
  );
}

Deno.test("minimal uses no network or system call programs, and counts no page faults", () => {
  const { signals } = createCollectors({ ...OPTIONS, collectors: PROFILES.minimal });
  assert.deepEqual(signals, ["cpu_sched", "oom"]);
});

Deno.test("the generated layouts are those of the objects", async () => {
  const module = layoutsModule(OBJECTS.map((name) => `${BPF}/${name}.bpf.o`));
  const fmt = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "--ext", "ts", "-"],
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = fmt.stdin.getWriter();
  await writer.write(new TextEncoder().encode(module));
  await writer.close();
  const { stdout } = await fmt.output();
  assert.equal(
    new TextDecoder().decode(stdout),
    await Deno.readTextFile(LAYOUTS_PATH),
    'run "deno task build"',
  );
});
