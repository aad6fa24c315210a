/** What an operator is told about programs that cannot be used on a node: one line, the cause first. */
import { NativeError } from "./error.ts";

/** What libbpf and the kernel's verifier write when something is wrong, and what it means; the first match counts. */
const SAYINGS: readonly (readonly [said: RegExp, means: (...groups: string[]) => string])[] = [
  [
    /failed to find valid kernel BTF/,
    () => "there is no /sys/kernel/btf/vmlinux: the kernel needs CONFIG_DEBUG_INFO_BTF",
  ],
  [/failed to find kernel BTF type ID of '(.+?)'/, (name) => `the kernel has no tracepoint ${name}`],
  [/^libbpf: elf: (?!failed to open)/m, () => `the file is not an eBPF object: run "deno task build"`],
  // The verifier's last word comes before its statistics.
  [/^(.+)\nprocessed \d+ insns/m, (complaint) => `the kernel's verifier refuses it: ${complaint}`],
  [/map '(\w+)': failed to create: (.+)/, (map, error) => `the kernel cannot make map ${map}: ${error}`],
];

/** The same for error codes that come without a telling line. */
const CODES: Readonly<Record<string, string>> = {
  EPERM: "it takes the capabilities BPF and PERFMON, and no lockdown or security module that forbids it",
  EACCES: "it takes the capabilities BPF and PERFMON, and no lockdown or security module that forbids it",
};

/** Why something failed, from a `NativeError` with libbpf's lines behind its own or from any other error. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const [summary = "", ...lines] = message.split("\n");
  const said = lines.join("\n");
  for (const [pattern, means] of SAYINGS) {
    const match = pattern.exec(said);
    if (match !== null) return means(...match.slice(1));
  }
  const hint = error instanceof NativeError ? CODES[error.code] : undefined;
  return hint === undefined ? summary : `${summary}; ${hint}`;
}
