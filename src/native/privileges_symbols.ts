/** The foreign functions of `native/kpod_privileges.h`, which says what each does. */

export const PRIVILEGES_SYMBOLS = {
  kpod_privileges_drop: {
    parameters: [
      /* uint64_t keep */ "u64",
      /* uint32_t deny_writes */ "u32",
      /* struct kpod_privileges *dropped */ "buffer",
    ],
    result: "i32",
  },
  kpod_privileges_suffice_for_maps: {
    parameters: [/* uint64_t capabilities */ "u64"],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;
