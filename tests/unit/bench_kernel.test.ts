/** What the benchmarks read of the kernel's account of eBPF maps and programs, and the tools they start. */
import assert from "node:assert/strict";
import { field } from "../bench/bpf_statistics.ts";
import { mapsAmong, memoryWith } from "../bench/map_memory.ts";
import { Tracer } from "../bench/tracer.ts";
import { isTracing } from "../bench/tracing_programs.ts";

/** Linux 6.18 about maps on 2 CPUs: a hash, per-CPU hash, per-CPU array, array, and storage of tasks and sockets. */
const MAPS = [
  { type: 1, key: 8, value: 256, entries: 1024, flags: 0, memory: 337_408 },
  { type: 1, key: 16, value: 240, entries: 10_240, flags: 0, memory: 3_376_624 },
  { type: 5, key: 8, value: 232, entries: 1024, flags: 0, memory: 557_952 },
  { type: 6, key: 4, value: 8, entries: 13, flags: 0, memory: 624 },
  { type: 2, key: 4, value: 512, entries: 1, flags: 0x480, memory: 8192 },
  { type: 29, key: 4, value: 8, entries: 0, flags: 1, memory: 480 },
  { type: 24, key: 4, value: 8, entries: 0, flags: 1, memory: 480 },
  { type: 1, key: 4, value: 20, entries: 16, flags: 0, memory: 2608 },
] as const;
type KernelMap = { readonly [Key in keyof typeof MAPS[number]]: number };

/** What proc_pid_fdinfo(5) shows of a map. */
function fdinfo({ type, key, value, entries, flags, memory }: KernelMap, id: number): string {
  return `pos:\t0\nflags:\t02000002\nmap_type:\t${type}\nkey_size:\t${key}\nvalue_size:\t${value}\n` +
    `max_entries:\t${entries}\nmap_flags:\t0x${
      flags.toString(16)
    }\nmemlock:\t${memory}\nmap_id:\t${id}\nfrozen:\t0\n`;
}

const infos = (maps: readonly KernelMap[]) => maps.map(fdinfo);

Deno.test("maps are found among other descriptors, each once", () => {
  const link = "link_type:\titer\nlink_id:\t9\nprog_id:\t7\nmap_id:\t3\n";
  const program = "prog_type:\t26\nmemlock:\t4096\nprog_id:\t7\nrun_time_ns:\t99\n";
  const [first = ""] = infos(MAPS);
  assert.deepEqual(mapsAmong([link, program, first, "pos:\t0\n", first]), [
    { type: 1, flags: 0, keySize: 8, valueSize: 256, maxEntries: 1024, memory: 337_408 },
  ]);
});

Deno.test("the memory with as many CPUs as there are is what the kernel states", () => {
  const maps = mapsAmong(infos(MAPS));
  assert.equal(memoryWith(2, maps, 2), 337_408 + 3_376_624 + 557_952 + 624 + 8192 + 480 + 480 + 2608);
});

Deno.test("storage has two buckets at the least", () => {
  assert.equal(memoryWith(1, mapsAmong(infos([MAPS[5]])), 2), 480);
});

const ADDED_BY_62_CPUS = [
  // An element in reserve and its pointer: 62 × (48 + 8 + 256 + 8), 62 × (48 + 16 + 240 + 8).
  62 * 320,
  62 * 312,
  // A copy of each value.
  62 * 232 * 1024,
  62 * 8 * 13,
  0,
  // A bucket a CPU.
  62 * 16,
  62 * 16,
  // Keys and values are padded: 62 × (48 + 8 + 24 + 8).
  62 * 88,
];
for (const [index, map] of MAPS.entries()) {
  const more = ADDED_BY_62_CPUS[index] ?? NaN;
  Deno.test(`62 CPUs more add ${more} bytes to a map of type ${map.type} of ${map.entries} entries`, () => {
    assert.equal(memoryWith(64, mapsAmong(infos([map])), 2) - map.memory, more);
  });
}

for (
  const { what, maps, message } of [
    {
      what: "two maps of a kind leave a different rest",
      maps: [MAPS[0], { ...MAPS[1], memory: MAPS[1].memory + 8 }],
      message: /a map of type 1 takes 3376632 bytes here, and 3375728 are explained/,
    },
    {
      what: "less is stated than explained",
      maps: [{ ...MAPS[2], memory: 500_000 }],
      message: /500000 bytes here, and 557056 are explained/,
    },
    {
      what: "much more is stated than explained",
      maps: [{ ...MAPS[2], memory: 700_000 }],
      message: /700000 bytes here, and 557056 are explained/,
    },
    {
      what: "entries are made one by one",
      maps: [{ ...MAPS[0], flags: 1 }],
      message: /map of type 1 with flags 1: not known here/,
    },
    {
      what: "a type is not known",
      maps: [{ ...MAPS[0], type: 9 }],
      message: /map of type 9 with flags 0: not known here/,
    },
  ] satisfies { what: string; maps: readonly KernelMap[]; message: RegExp }[]
) {
  Deno.test(`no memory is computed where ${what}`, () => {
    assert.throws(() => memoryWith(64, mapsAmong(infos(maps)), 2), message);
  });
}

for (
  const { info, name, value } of [
    { info: "memlock:\t4096\n", name: "memlock", value: 4096 },
    { info: "map_flags:\t0x480\nprog_id:\t12\n", name: "map_flags", value: 0x480 },
    { info: "owner_prog_id:\t12\n", name: "prog_id", value: undefined },
  ]
) {
  Deno.test(`${JSON.stringify(info)} says ${value} of ${name}`, () => {
    assert.equal(field(info, name), value);
  });
}

for (
  const { what, type, tracing } of [
    { what: "kprobe", type: 2, tracing: true },
    { what: "tracepoint", type: 5, tracing: true },
    { what: "perf event", type: 7, tracing: true },
    { what: "raw tracepoint", type: 17, tracing: true },
    { what: "BTF tracepoint", type: 26, tracing: true },
    { what: "cgroup's device", type: 15, tracing: false },
    { what: "socket filter", type: 1, tracing: false },
  ]
) {
  Deno.test(`a program for a ${what} ${tracing ? "traces" : "does not trace"}`, () => {
    assert.equal(isTracing(`flags:\t02\nprog_type:\t${type}\nprog_id:\t26\n`), tracing);
  });
}

/** A shell script in the place of a tool. */
const script = (text: string) => ({ program: "sh", args: ["-c", text], tracefs: false });

Deno.test("a tool that says that it traces is waited for, and ended by SIGINT", async () => {
  const file = await Deno.makeTempFile();
  try {
    const tracer = await Tracer.start(
      script(
        `trap 'echo ended > ${file}; exit' INT; echo Setting up; echo Tracing it; while :; do sleep 0.01; done`,
      ),
    );
    await tracer[Symbol.asyncDispose]();
    assert.equal(await Deno.readTextFile(file), "ended\n");
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("a tool that ends by itself is no reference", async () => {
  const tracer = await Tracer.start(script("echo Tracing it; exit 0"));
  await new Deno.Command("tail", {
    args: [`--pid=${tracer.pid}`, "--sleep-interval=0.01", "-f", "/dev/null"],
  }).output();
  await assert.rejects(tracer[Symbol.asyncDispose](), {
    message: "Cannot compare with sh: it ended while loads were measured",
  });
});

for (
  const { what, tool, message } of [
    {
      what: "is not there",
      tool: { program: "kpod-tracer", args: [], tracefs: false },
      message: "Cannot compare with kpod-tracer: it is not there; install the package libbpf-tools",
    },
    {
      what: "gives up with a reason",
      tool: script("echo failed to load >&2; exit 3"),
      message: "Cannot compare with sh: got failed to load",
    },
    { what: "gives up silently", tool: script("exit 3"), message: "Cannot compare with sh: got exit code 3" },
  ]
) {
  Deno.test(`a tool that ${what} is named`, async () => {
    await assert.rejects(Tracer.start(tool), { message });
  });
}
