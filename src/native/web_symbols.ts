/** The foreign functions of `native/kpod_web.h`, which says what each does. */

export const WEB_SYMBOLS = {
  kpod_descriptors: { parameters: [], result: "i32" },
  kpod_connections: {
    parameters: [
      /* uint32_t port */ "u32",
      /* uint8_t *buffer */ "buffer",
      /* uint64_t capacity */ "u64",
    ],
    result: "i64",
  },
  kpod_connection_drop: {
    parameters: [
      /* uint32_t descriptor */ "u32",
      /* uint64_t id */ "u64",
    ],
    result: "i32",
  },
  kpod_password_fits: {
    parameters: [
      /* const char *hash */ "buffer",
      /* const char *password */ "buffer",
    ],
    result: "i32",
    nonblocking: true,
  },
} as const satisfies Deno.ForeignLibraryInterface;
