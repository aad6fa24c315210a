/** The preflight on kernels of all sorts. */
import { bpfStatistics, btf, kernelVersion, lockdown } from "../../src/doctor/kernel.ts";
import type { ProgramState } from "../../src/native/programs.ts";
import { assertFinding, type Expected, hostFiles } from "./doctor_files.ts";

const RELEASES: readonly (readonly [release: string, expected: Expected])[] = [
  ["6.18.44", ["ok", /^6\.18\.44$/]],
  ["5.10.0-28-cloud-amd64", ["ok", /^5\.10\.0-28-cloud-amd64$/]],
  ["5.9.16", ["fail", /^5\.9\.16$/, /Linux 5\.10 or later/]],
  ["4.19.0", ["fail", /^4\.19\.0$/, /Linux 5\.10 or later/]],
  ["unheard of", ["fail", /^unheard of$/, /Linux 5\.10 or later/]],
];

for (const [release, expected] of RELEASES) {
  Deno.test(`kernel ${release} is ${expected[0]}`, () => {
    using proc = hostFiles({ "sys/kernel/osrelease": `${release}\n` });
    assertFinding(kernelVersion(proc.root), expected);
  });
}

Deno.test("BTF is told by its file, and missed only where programs are wanted", () => {
  using without = hostFiles({});
  using present = hostFiles({ "kernel/btf/vmlinux": "\x9f\xeb".padEnd(1_500_000) });
  assertFinding(btf(present.root, true), ["ok", /kernel\/btf\/vmlinux, 1\.5 MB$/]);
  assertFinding(btf(without.root, false), ["ok", /vmlinux: ENOENT.*not needed/]);
  assertFinding(btf(without.root, true), [
    "fail",
    /vmlinux: ENOENT/,
    /CONFIG_DEBUG_INFO_BTF.*KPOD_BPF_ENABLED/,
  ]);
});

const ATTACHED: ProgramState = {
  signal: "oom",
  program: "mark_victim",
  hook: "tp_btf",
  state: "attached",
  reason: "",
  mayMiss: "",
};
const UNAVAILABLE: ProgramState = { ...ATTACHED, state: "unavailable", reason: "EPERM" };
const SECURITY = "kernel/security";

const LOCKDOWNS: readonly (readonly [
  what: string,
  sys: Readonly<Record<string, string>>,
  cmdline: string,
  states: readonly ProgramState[] | undefined,
  expected: Expected,
])[] = [
  ["off", { lockdown: "[none] integrity confidentiality\n" }, "", [ATTACHED], ["ok", /^none$/]],
  ["of integrity", { lockdown: "none [integrity] confidentiality\n" }, "", [ATTACHED], ["ok", /^integrity$/]],
  ["of confidentiality", { lockdown: "none integrity [confidentiality]\n" }, "", [UNAVAILABLE], [
    "fail",
    /^confidentiality: eBPF/,
    /lockdown=integrity.*KPOD_BPF_ENABLED/,
  ]],
  ["of confidentiality, without eBPF", { lockdown: "none integrity [confidentiality]\n" }, "", undefined, [
    "ok",
    /^confidentiality$/,
  ]],
  ["not built in", { lsm: "capability,bpf" }, "", [ATTACHED], ["ok", /^none: this kernel has no lockdown/]],
  ["unseen, while all programs load", {}, "quiet lockdown=integrity\n", [ATTACHED, ATTACHED], [
    "ok",
    /securityfs is not mounted.*asks for integrity; it keeps no program from loading/,
  ]],
  ["unseen, while one does not load", {}, "quiet\n", [ATTACHED, UNAVAILABLE], [
    "warn",
    /securityfs is not mounted at \S+\/kernel\/security$/,
    /cat \/sys\/kernel\/security\/lockdown/,
  ]],
  ["unseen, when loading broke off", {}, "", [], ["warn", /securityfs is not mounted/, /on the node itself/]],
  ["unseen, without eBPF", {}, "", undefined, ["ok", /no eBPF program is to be loaded$/]],
];

for (const [what, security, cmdline, states, expected] of LOCKDOWNS) {
  Deno.test(`lockdown ${what} is ${expected[0]}`, () => {
    const files = Object.entries(security).map(([name, text]) => [`${SECURITY}/${name}`, text]);
    using sys = hostFiles(Object.fromEntries(files));
    using proc = hostFiles({ cmdline });
    assertFinding(lockdown(sys.root, proc.root, states !== undefined, states ?? []), expected);
  });
}

Deno.test("eBPF statistics are on, off or unknown to the kernel, and all of that is ok", () => {
  for (
    const [files, found] of [
      [{ "sys/kernel/bpf_stats_enabled": "1\n" }, /^on: /],
      [{ "sys/kernel/bpf_stats_enabled": "0\n" }, /^off: /],
      [{}, /^off: /],
    ] as const
  ) {
    using proc = hostFiles(files);
    assertFinding(bpfStatistics(proc.root), ["ok", found]);
  }
});
