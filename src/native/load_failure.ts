/** What an operator is told about programs that cannot be used on a node: one line, the cause first. */
import { lackingForPrograms, ownStatus } from "./capabilities.ts";
import { NativeError } from "./error.ts";

/** What libbpf and the kernel's verifier write when something is wrong, and what it means; the first match counts. */
const SAYINGS: readonly (readonly [said: RegExp, means: (...groups: string[]) => string])[] = [
  [
    /failed to find valid kernel BTF/,
    () => "there is no /sys/kernel/btf/vmlinux: the kernel needs CONFIG_DEBUG_INFO_BTF",
  ],
  [
    /failed to find kernel BTF type ID of '(.+?)'/,
    (name) => `the kernel has no tracepoint or function ${name}`,
  ],
  [
    /failed to determine tracepoint '(.+?)' perf event ID: (.+)/,
    (event, error) => `tracefs (/sys/kernel/tracing) does not tell of ${event}: ${error}`,
  ],
  [/^libbpf: elf: (?!failed to open)/m, () => `the file is not an eBPF object: run "deno task build"`],
  // The verifier's last word comes before its statistics.
  [/^(.+)\nprocessed \d+ insns/m, (complaint) => `the kernel's verifier refuses it: ${complaint}`],
  [/map '(\w+)': failed to create: (.+)/, (map, error) => `the kernel cannot make map ${map}: ${error}`],
];

/** Codes that say no more than that it is forbidden. */
const FORBIDDEN: readonly string[] = ["EPERM", "EACCES"];

/**
 * Why something failed, from a `NativeError` with libbpf's lines behind its own or from any other error; `status` is
 * the /proc/PID/status of the process that it failed in.
 */
export function reasonOf(error: unknown, status: () => string = ownStatus): string {
  const message = error instanceof Error ? error.message : String(error);
  const [summary = "", ...lines] = message.split("\n");
  const said = lines.join("\n");
  for (const [pattern, means] of SAYINGS) {
    const match = pattern.exec(said);
    if (match !== null) return means(...match.slice(1));
  }
  if (!(error instanceof NativeError && FORBIDDEN.includes(error.code))) return summary;
  const lacking = lackingForPrograms(status()).map((name) => `CAP_${name}`);
  return lacking.length > 0
    ? `${summary}; it takes ${lacking.join(" and ")}, which this process does not have`
    : `${summary}; the capabilities are there, so a seccomp profile, a security module, a sysctl, lockdown or a user namespace forbids it`;
}
