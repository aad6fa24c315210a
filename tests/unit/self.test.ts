/** What the agent says about itself. */
import assert from "node:assert/strict";
import type { Family } from "../../src/metrics/family.ts";
import { rendered } from "../exposition.ts";
import {
  buildFamilies,
  collectorFamilies,
  CycleDurations,
  discoveryFamilies,
  type ProgramFacts,
  programFamilies,
} from "../../src/metrics/self.ts";

/** The samples' lines of the exposition. */
async function lines(families: readonly Family[]): Promise<string[]> {
  return (await rendered(families, "prometheus")).split("\n").filter((line) => /^[^#]/.test(line));
}

Deno.test("an observation is in every bucket whose bound it does not exceed", () => {
  const durations = new CycleDurations();
  for (const seconds of [0.001, 0.0011, 7, 100]) durations.observe(seconds);
  const { bounds, samples: [sample] } = durations.family();
  const bucket = (bound: number) => sample?.buckets[bounds.indexOf(bound)];
  assert.deepEqual([0.001, 0.0025, 5, 10, Infinity].map(bucket), [1, 2, 2, 3, 4]);
  assert.equal(sample?.sum, 107.0021);
});

Deno.test("a family that was given away does not change with later observations", () => {
  const durations = new CycleDurations();
  const family = durations.family();
  durations.observe(1);
  assert.equal(family.samples[0]?.buckets.at(-1), 0);
});

Deno.test("each collector's last run is there, failed ones too", async () => {
  const runs = [{ name: "tcp", up: true, seconds: 0.25 }, { name: "oom", up: false, seconds: 0.5 }];
  assert.deepEqual(await lines(collectorFamilies(runs)), [
    'kpod_collector_up{collector="tcp"} 1',
    'kpod_collector_up{collector="oom"} 0',
    'kpod_collector_duration_seconds{collector="tcp"} 0.25',
    'kpod_collector_duration_seconds{collector="oom"} 0.5',
  ]);
});

Deno.test("discovery tells pods, the time of the last success in seconds, and errors from zero", async () => {
  const errors = new Map([["timeout", 2], ["body", 0]]);
  const facts = { pods: [1, 2, 3], lastSuccess: 1_700_000_000_500, errors };
  assert.deepEqual(await lines(discoveryFamilies(facts, 4)), [
    "kpod_discovery_pods 3",
    "kpod_discovery_last_success_timestamp_seconds 1700000000.5",
    'kpod_discovery_errors_total{reason="timeout"} 2',
    'kpod_discovery_errors_total{reason="body"} 0',
    "kpod_unattributed_cgroups 4",
  ]);
  const [, before] = await lines(discoveryFamilies({ ...facts, lastSuccess: undefined }, 0));
  assert.equal(before, "kpod_discovery_last_success_timestamp_seconds 0");
});

Deno.test("the build is told by labels", async () => {
  const build = { version: "0.1.0", deno: "2.9.3", libbpf: "v1.1", kernel: "6.18" };
  assert.deepEqual(await lines(buildFamilies(build)), [
    'kpod_build_info{version="0.1.0",deno="2.9.3",libbpf="v1.1",kernel="6.18"} 1',
  ]);
});

const PROGRAMS: ProgramFacts = {
  maps: () =>
    new Map([
      ["tcp", { maxEntries: 1024, memoryBytes: 4096 }],
      ["tcp_sockets", { maxEntries: 0, memoryBytes: 512 }],
    ]),
  entryCount: (map) => map === "tcp" ? 7 : undefined,
  updateErrors: () => new Map([["tcp", 1]]),
  programs: () => [{ program: "tcp_probe", hook: "tp_btf", misses: 3, runs: 8, runTimeSeconds: 0.5 }],
  states: [
    { program: "tcp_probe", hook: "tp_btf", signal: "tcp_rtt", state: "attached", reason: "" },
    { program: "mark_victim", hook: "tp_btf", signal: "oom", state: "unavailable", reason: 'no "BTF"' },
  ],
};

Deno.test("programs and maps are told; a map of no fixed size has no capacity, one not read no entries", async () => {
  const found = await lines(programFamilies(PROGRAMS, false));
  for (
    const line of [
      'kpod_bpf_map_entries{map="tcp"} 7',
      'kpod_bpf_map_capacity{map="tcp"} 1024',
      'kpod_bpf_map_memory_bytes{map="tcp"} 4096',
      'kpod_bpf_map_memory_bytes{map="tcp_sockets"} 512',
      'kpod_bpf_map_update_errors_total{map="tcp"} 1',
      'kpod_bpf_program_misses_total{program="tcp_probe",hook="tp_btf"} 3',
      'kpod_bpf_program_info{program="tcp_probe",hook="tp_btf",signal="tcp_rtt",state="attached",reason=""} 1',
      'kpod_bpf_program_info{program="mark_victim",hook="tp_btf",signal="oom",state="unavailable",' +
      'reason="no \\"BTF\\""} 1',
    ]
  ) assert.ok(found.includes(line), `${line} is not in\n${found.join("\n")}`);
  assert.equal(found.filter((line) => /(?:entries|capacity)\{map="tcp_sockets"/.test(line)).length, 0);
});

Deno.test("run times of programs are told while the kernel keeps them, and absent otherwise", async () => {
  const runTimes = async (timed: boolean) =>
    (await lines(programFamilies(PROGRAMS, timed))).filter((line) => line.startsWith("kpod_bpf_program_run"));
  assert.deepEqual(await runTimes(true), [
    'kpod_bpf_program_run_seconds_total{program="tcp_probe",hook="tp_btf"} 0.5',
    'kpod_bpf_program_runs_total{program="tcp_probe",hook="tp_btf"} 8',
  ]);
  assert.deepEqual(await runTimes(false), []);
});
