/** The eBPF side: which program delivers each signal, and the room in its maps. */
import type { ProgramState } from "../native/programs.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";

/** What helps against the reasons that `reasonOf` of native/load_failure.ts gives; the first match counts. */
const REMEDIES: readonly (readonly [reason: RegExp, advice: string])[] = [
  [
    /deno task build|ENOENT/,
    "run `deno task build`, or set KPOD_BPF_PROGRAM_DIR to where the *.bpf.o files are",
  ],
  [/which this process does not have$/, "give the agent CAP_BPF and CAP_PERFMON"],
  [
    /the capabilities are there/,
    "see the line lockdown, and allow bpf and perf_event_open in the pod's seccomp, AppArmor or SELinux settings; " +
    "the agent may not be in a user namespace (hostUsers: false)",
  ],
  [/CONFIG_DEBUG_INFO_BTF/, "take a kernel built with CONFIG_DEBUG_INFO_BTF"],
  [/has no tracepoint/, "take a later kernel for its metrics; all others are served without it"],
  [/cannot make map/, "lower KPOD_BPF_MAX_CGROUPS, or raise the memory limit of the agent's container"],
];
const OTHERWISE =
  "its metrics are absent, and all others served; the agent logs the same reason when it starts";

const MOUNT_TRACEFS =
  "mount tracefs at /sys/kernel/tracing: in a pod the node's, read-only, as manifests/tracefs does";
const ALLOW_PERF_EVENTS =
  "allow perf_event_open: by kernel.perf_event_paranoid of at most 2, and by the pod's seccomp profile";

/**
 * One finding for each signal. That none of them works is a failure of each; one that does not, or may miss events, is
 * a warning.
 */
export function signals(states: readonly ProgramState[]): Finding[] {
  const names = [...new Set(states.map(({ signal }) => signal))];
  const isAttached = ({ state }: ProgramState) => state === "attached";
  const report = states.some(isAttached) ? warn : fail;
  return names.map((name) => {
    const own = states.filter(({ signal }) => signal === name);
    const programs = `${own.map(({ program }) => program).join(", ")} (${own[0]?.hook})`;
    if (own.every(isAttached)) return attached(`signal ${name}`, programs, own[0]?.mayMiss ?? "");
    const reason = own.find((state) => !isAttached(state))?.reason ?? "";
    const advice = REMEDIES.find(([pattern]) => pattern.test(reason))?.[1] ?? OTHERWISE;
    return report(`signal ${name}`, `${programs} unavailable: ${reason}`, advice);
  });
}

function attached(check: string, programs: string, mayMiss: string): Finding {
  if (mayMiss === "") return ok(check, `${programs} attached`);
  const found = `${programs} attached, but misses what the kernel skips while it preempts them: ${mayMiss}`;
  return warn(check, found, mayMiss.includes("tracefs") ? MOUNT_TRACEFS : ALLOW_PERF_EVENTS);
}

/** A restarted container takes a place more until its old counts are folded in. */
const HEADROOM = 0.75;

/** `maxCgroups` is what the maps are made for, `containers` how many cgroups there are now. */
export function mapCapacity(maxCgroups: number, containers: number): Finding {
  const found = `${containers} containers with sandboxes, room for ${maxCgroups}`;
  if (containers <= HEADROOM * maxCgroups) return ok("map capacity", found);
  const advice = `set KPOD_BPF_MAX_CGROUPS to ${2 * containers} or more: what finds no room is not counted`;
  return warn("map capacity", found, advice);
}
