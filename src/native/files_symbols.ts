/**
 * The foreign functions of `native/kpod_files.h`, which says what each does. Handles are plain numbers here: the
 * runtime makes pointer objects only for a program that may load any library.
 */

export const FILE_SYMBOLS = {
  kpod_root_open: {
    parameters: [
      /* const char *path */ "buffer",
      /* struct kpod_root **root */ "buffer",
    ],
    result: "i32",
  },
  kpod_root_close: {
    parameters: [/* struct kpod_root *root */ "u64"],
    result: "void",
  },
  kpod_filesystem_type: {
    parameters: [/* const struct kpod_root *root */ "u64"],
    result: "i64",
  },
  kpod_read_file: {
    parameters: [
      /* const struct kpod_root *root */ "u64",
      /* const char *relative */ "buffer",
      /* uint8_t *buffer */ "buffer",
      /* uint64_t capacity */ "u64",
    ],
    result: "i64",
  },
  kpod_file_set_open: {
    parameters: [/* struct kpod_file_set **set */ "buffer"],
    result: "i32",
  },
  kpod_file_set_close: {
    parameters: [/* struct kpod_file_set *set */ "u64"],
    result: "void",
  },
  kpod_file_set_add: {
    parameters: [
      /* struct kpod_file_set *set */ "u64",
      /* const struct kpod_root *root */ "u64",
      /* const char *relative */ "buffer",
    ],
    result: "i32",
  },
  kpod_file_set_add_anew: {
    parameters: [
      /* struct kpod_file_set *set */ "u64",
      /* const struct kpod_root *root */ "u64",
      /* const char *directory */ "buffer",
      /* const char *name */ "buffer",
    ],
    result: "i32",
  },
  kpod_file_set_remove: {
    parameters: [
      /* struct kpod_file_set *set */ "u64",
      /* uint32_t slot */ "u32",
    ],
    result: "i32",
  },
  kpod_file_set_refresh: {
    parameters: [
      /* struct kpod_file_set *set */ "u64",
      /* const uint32_t *slots */ "buffer",
      /* uint32_t count */ "u32",
      /* int32_t *lengths */ "buffer",
    ],
    result: "void",
  },
  /** In another thread. */
  kpod_file_set_refresh_apart: {
    name: "kpod_file_set_refresh",
    parameters: [
      /* struct kpod_file_set *set */ "u64",
      /* const uint32_t *slots */ "buffer",
      /* uint32_t count */ "u32",
      /* int32_t *lengths */ "buffer",
    ],
    result: "void",
    nonblocking: true,
  },
  kpod_file_set_content: {
    parameters: [
      /* const struct kpod_file_set *set */ "u64",
      /* const uint32_t *slots */ "buffer",
      /* uint32_t count */ "u32",
      /* uint8_t *buffer */ "buffer",
      /* uint64_t capacity */ "u64",
    ],
    result: "i64",
  },
  kpod_file_set_inode: {
    parameters: [
      /* const struct kpod_file_set *set */ "u64",
      /* uint32_t slot */ "u32",
    ],
    result: "u64",
  },
  kpod_walk: {
    parameters: [
      /* const struct kpod_root *root */ "u64",
      /* const char *relative */ "buffer",
      /* uint32_t max_depth */ "u32",
      /* uint8_t *buffer */ "buffer",
      /* uint64_t capacity */ "u64",
    ],
    result: "i64",
  },
  kpod_processes: {
    parameters: [
      /* const struct kpod_root *root */ "u64",
      /* uint8_t *buffer */ "buffer",
      /* uint64_t capacity */ "u64",
    ],
    result: "i64",
  },
  kpod_statfs: {
    parameters: [
      /* const struct kpod_root *root */ "u64",
      /* const char *texts */ "buffer",
      /* uint64_t texts_size */ "u64",
      /* uint32_t count */ "u32",
      /* uint32_t timeout_ms */ "u32",
      /* struct kpod_statfs *out */ "buffer",
    ],
    result: "i32",
    nonblocking: true,
  },
  kpod_environment: {
    parameters: [
      /* const char *prefix */ "buffer",
      /* char *buffer */ "buffer",
      /* uint64_t capacity */ "u64",
    ],
    result: "i64",
  },
} as const satisfies Deno.ForeignLibraryInterface;
