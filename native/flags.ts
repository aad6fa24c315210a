/** How C is compiled, for the kernel and for this machine. */

const WARNINGS: readonly string[] = ["-Wall", "-Wextra", "-Werror"];

/** Of eBPF programs, but for what differs between architectures. */
export const BPF_FLAGS: readonly string[] = [
  "-g",
  "-O2",
  "-target",
  "bpf",
  "-mcpu=v3",
  ...WARNINGS,
  "-Wno-unused-parameter",
];

/** Of everything that runs in user space. */
export const C_FLAGS: readonly string[] = [
  "-std=gnu11",
  "-g",
  ...WARNINGS,
  "-Wformat=2",
  "-Wmissing-prototypes",
  "-Wshadow",
  "-Wvla",
  "-pthread",
];

/** Of what is shipped: a mistake with memory ends the process rather than letting anybody go on from it. */
export function hardeningFlags(architecture: string): readonly string[] {
  return [
    "-O2",
    // Some distributions' compilers define it already.
    ...["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"],
    "-fstack-protector-strong",
    "-fstack-clash-protection",
    architecture === "aarch64" ? "-mbranch-protection=standard" : "-fcf-protection=full",
    "-Wl,-z,relro,-z,now,-z,noexecstack,-z,defs",
  ];
}
