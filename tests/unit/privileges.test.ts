/** Which capabilities the agent's work takes when all is loaded. */
import assert from "node:assert/strict";
import { type Capability, maskOf } from "../../src/native/capabilities.ts";
import { capabilitiesNeeded, needsText, type Work } from "../../src/native/privileges.ts";

const ALL: readonly Capability[] = [
  "DAC_READ_SEARCH",
  "SYS_PTRACE",
  "SYS_ADMIN",
  "SYS_RESOURCE",
  "PERFMON",
  "BPF",
];
const DAEMON_SET: readonly Capability[] = ["BPF", "PERFMON", "SYS_PTRACE"];
const OLD: readonly Capability[] = ["SYS_ADMIN", "SYS_PTRACE"];

const CASES: readonly (readonly [
  what: string,
  had: readonly Capability[],
  work: Work,
  readsMapsWithout: boolean,
  kept: readonly Capability[],
])[] = [
  ["files of cgroups", ALL, { programs: false, maps: false, containers: false }, true, []],
  [
    "maps, on a kernel that asks for nothing",
    ALL,
    { programs: false, maps: true, containers: false },
    true,
    [],
  ],
  [
    "maps, on one that asks for a capability",
    ALL,
    { programs: false, maps: true, containers: false },
    false,
    ["BPF"],
  ],
  ["maps, on one that has no CAP_BPF", OLD, { programs: false, maps: true, containers: false }, false, [
    "SYS_ADMIN",
  ]],
  ["containers", ALL, { programs: false, maps: false, containers: true }, true, [
    "SYS_PTRACE",
    "DAC_READ_SEARCH",
  ]],
  ["containers, of what it has", DAEMON_SET, { programs: false, maps: true, containers: true }, true, [
    "SYS_PTRACE",
  ]],
  ["both", DAEMON_SET, { programs: false, maps: true, containers: true }, false, ["SYS_PTRACE", "BPF"]],
  ["programs that may be loaded again", ALL, { programs: true, maps: true, containers: false }, true, [
    "BPF",
    "PERFMON",
    "SYS_RESOURCE",
  ]],
  ["programs, of what it has", DAEMON_SET, { programs: true, maps: true, containers: false }, true, [
    "BPF",
    "PERFMON",
  ]],
  [
    "programs, on a kernel that has no CAP_BPF",
    OLD,
    { programs: true, maps: true, containers: false },
    true,
    [
      "SYS_ADMIN",
    ],
  ],
  ["both, with nothing", [], { programs: false, maps: true, containers: true }, false, []],
];

function statusWith(names: readonly Capability[]): string {
  return `Name:\tdeno\nCapEff:\t${maskOf(names).toString(16).padStart(16, "0")}\n`;
}

for (const [what, had, work, readsMapsWithout, kept] of CASES) {
  Deno.test(`${kept.join(" and ") || "nothing"} is kept for ${what}`, () => {
    const needs = capabilitiesNeeded(statusWith(had), work, () => readsMapsWithout);
    assert.deepEqual(needs.map(({ capability }) => capability), kept);
  });
}

Deno.test("whether maps can be read is tried with what is kept anyway", () => {
  const tried: (readonly Capability[])[] = [];
  capabilitiesNeeded(statusWith(ALL), { programs: false, maps: true, containers: true }, (capabilities) => {
    tried.push(capabilities);
    return true;
  });
  assert.deepEqual(tried, [["SYS_PTRACE", "DAC_READ_SEARCH"]]);
});

Deno.test("what is kept is told with the purpose", () => {
  const needs = [
    { capability: "BPF", purpose: "to load" },
    { capability: "SYS_PTRACE", purpose: "to look" },
    { capability: "PERFMON", purpose: "to load" },
  ] as const;
  assert.equal(needsText(needs), "BPF, PERFMON to load; SYS_PTRACE to look");
  assert.equal(needsText([]), "none");
});
