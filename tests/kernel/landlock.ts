/** Whether this kernel has Landlock, asked without the library under test. */
const CREATE_RULESET = 444n;
const VERSION_FLAG = 1n;

export function hasLandlock(): boolean {
  if (Deno.build.os !== "linux") return false;
  const libc = Deno.dlopen("libc.so.6", {
    /** `long syscall(long number, ...)` with three arguments */
    syscall: { parameters: ["i64", "u64", "u64", "u64"], result: "i64" },
  });
  const version = libc.symbols.syscall(CREATE_RULESET, 0n, 0n, VERSION_FLAG);
  libc.close();
  return version > 0n;
}
