/** How eBPF programs are compiled, but for what differs between architectures. */
export const BPF_FLAGS: readonly string[] = [
  "-g",
  "-O2",
  "-target",
  "bpf",
  "-mcpu=v3",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-Wno-unused-parameter",
];
