/** What is said of programs that cannot be loaded, and what they cost. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type ObjectName, SIGNALS } from "../../src/native/signals.ts";
import { loadPrograms, type States } from "./load_states.ts";
import { needsCompiler, needsPrograms } from "./requirements.ts";
import { BPF, compile, copiedObjects, type Edit } from "./spoilt_objects.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const attached = (
  states: States,
) => [...new Set(states.filter(({ state }) => state === "attached").map(({ signal }) => signal))];
const reasons = (
  states: States,
) => [...new Set(states.filter(({ state }) => state === "unavailable").map(({ reason }) => reason))];

const NO_OBJECT = /^the file is not an eBPF object: run "deno task build"$/;

/** What takes the place of an object, and what that costs. */
interface Case {
  readonly title: string;
  readonly spoil?: (mem: string) => Promise<void>;
  readonly object?: ObjectName;
  readonly edits?: readonly Edit[];
  readonly reason: RegExp;
  readonly lost: readonly string[];
}

const CASES: readonly Case[] = [
  {
    title: "a missing object file",
    spoil: (mem: string) => Deno.remove(mem),
    reason: /^Cannot open .*\/mem\.bpf\.o: ENOENT \(no such file or directory\)$/,
    lost: ["oom", "page_faults"],
  },
  {
    title: "a file that is no object",
    spoil: (mem: string) => Deno.writeTextFile(mem, "nonsense\n"),
    reason: NO_OBJECT,
    lost: ["oom", "page_faults"],
  },
  {
    title: "an empty file",
    spoil: (mem: string) => Deno.writeTextFile(mem, ""),
    reason: NO_OBJECT,
    lost: ["oom", "page_faults"],
  },
  {
    title: "an object that is cut short",
    spoil: (mem: string) => Deno.truncate(mem, 2000),
    reason: NO_OBJECT,
    lost: ["oom", "page_faults"],
  },
  {
    title: "an object built from other headers",
    edits: [["types.h", "\tu64 kills;", "\tu64 something;\n\tu64 kills;"]],
    reason: /^Cannot use .*\/mem\.bpf\.o: the value of its map oom .*; run "deno task build"$/,
    lost: ["oom", "page_faults"],
  },
  {
    title: "a tracepoint that the kernel does not have",
    object: "net",
    edits: [[
      "net.bpf.c",
      'tp_btf/tcp_probe")\nint BPF_PROG(tcp_probe',
      'tp_btf/no_such_event")\nint BPF_PROG(tcp_probe',
    ]],
    reason: /^the kernel has no tracepoint or function no_such_event$/,
    lost: ["tcp_rtt"],
  },
  {
    title: "a field that the kernel does not have",
    object: "net",
    edits: [
      ["vmlinux.h", " srtt_us;", " srtt_us, no_such_field;"],
      ["net.bpf.c", "(u64)tp->srtt_us", "(u64)tp->no_such_field"],
    ],
    reason: /^the kernel's verifier refuses it: .*no_such_field/,
    lost: ["tcp_rtt"],
  },
  {
    title: "a program that the verifier refuses",
    object: "net",
    edits: [["net.bpf.c", "(u64)tp->srtt_us", "*(u64 *)8"]],
    reason: /^the kernel's verifier refuses it: .*invalid/,
    lost: ["tcp_rtt"],
  },
];

for (const { title, spoil, object = "mem", edits, reason, lost } of CASES) {
  Deno.test(
    `${title} costs its signals only, and the reason says so`,
    edits ? needsCompiler : needsPrograms,
    async () => {
      await using objects = await copiedObjects();
      await spoil?.(`${objects.directory}/mem.bpf.o`);
      if (edits !== undefined) await compile(objects.directory, object, ...edits);
      using programs = loadPrograms(objects.directory);
      const [said = "", ...others] = reasons(programs.states);
      assert.match(said, reason);
      assert.deepEqual(others, []);
      assert.deepEqual(
        attached(programs.states),
        SIGNALS.map(({ name }) => name).filter((name) => !lost.includes(name)),
      );
    },
  );
}

const WITHOUT_BTF = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"';
for (
  const { title, wrapper, reason } of [
    {
      title: "without CAP_BPF",
      wrapper: ["setpriv", "--bounding-set", "-bpf,-sys_admin"],
      reason: /EPERM .*; it takes CAP_BPF, which this process does not have$/,
    },
    {
      title: "without CAP_PERFMON",
      wrapper: ["setpriv", "--bounding-set", "-perfmon,-sys_admin"],
      reason: /EPERM .*; it takes CAP_PERFMON, which this process does not have$/,
    },
    {
      title: "without the kernel's BTF",
      // In a mount namespace of its own.
      wrapper: ["unshare", "--mount", "sh", "-c", WITHOUT_BTF, "sh"],
      reason: /^there is no \/sys\/kernel\/btf\/vmlinux: the kernel needs CONFIG_DEBUG_INFO_BTF$/,
    },
  ]
) {
  Deno.test(`${title} no signal is there, and each reason says what is needed`, needsPrograms, async () => {
    const [command = "", ...args] = wrapper;
    const script = [Deno.execPath(), "run", "--allow-all", `${ROOT}tests/kernel/load_states.ts`, BPF];
    const { stdout } = await new Deno.Command(command, { args: [...args, ...script] }).output();
    const states: States = JSON.parse(new TextDecoder().decode(stdout));
    assert.ok(states.length >= SIGNALS.length);
    assert.deepEqual(attached(states), []);
    for (const said of reasons(states)) assert.match(said, reason);
  });
}
