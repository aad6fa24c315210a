/**
 * The FFI table of `native/kpod_bpf.h`. Strings are NUL-terminated bytes; `buffer` is a typed array; handles are
 * addresses as integers, since making pointers of them takes a permission the agent does not have.
 */
export const BPF_SYMBOLS = {
  kpod_bpf_open: {
    parameters: [
      /* const char *path */ "buffer",
      /* struct kpod_bpf **object */ "buffer",
    ],
    result: "i32",
  },
  kpod_bpf_close: { parameters: [/* struct kpod_bpf *object */ "u64"], result: "void" },
  kpod_bpf_btf: {
    parameters: [
      /* struct kpod_bpf *object */ "u64",
      /* uint8_t *buffer */ "buffer",
      /* uint64_t capacity */ "u64",
    ],
    result: "i64",
  },
  kpod_bpf_set_constant: {
    parameters: [
      /* struct kpod_bpf *object */ "u64",
      /* const char *name */ "buffer",
      /* const uint8_t *value */ "buffer",
      /* uint32_t size */ "u32",
    ],
    result: "i32",
  },
  kpod_bpf_enable_program: {
    parameters: [
      /* struct kpod_bpf *object */ "u64",
      /* const char *program */ "buffer",
      /* uint32_t enabled */ "u32",
    ],
    result: "i32",
  },
  kpod_bpf_resize_map: {
    parameters: [
      /* struct kpod_bpf *object */ "u64",
      /* const char *map */ "buffer",
      /* uint32_t max_entries */ "u32",
    ],
    result: "i32",
  },
  kpod_bpf_has_task_storage: { parameters: [], result: "i32" },
  kpod_bpf_preempts_programs: { parameters: [], result: "i32" },
  kpod_bpf_make_hash: {
    parameters: [
      /* struct kpod_bpf *object */ "u64",
      /* const char *map */ "buffer",
      /* uint32_t key_size */ "u32",
      /* uint32_t max_entries */ "u32",
    ],
    result: "i32",
  },
  kpod_bpf_enable_map: {
    parameters: [
      /* struct kpod_bpf *object */ "u64",
      /* const char *map */ "buffer",
      /* uint32_t enabled */ "u32",
    ],
    result: "i32",
  },
  kpod_bpf_share_map: {
    parameters: [
      /* struct kpod_bpf *object */ "u64",
      /* const char *map */ "buffer",
      /* struct kpod_bpf *from */ "u64",
    ],
    result: "i32",
  },
  kpod_bpf_load: { parameters: [/* struct kpod_bpf *object */ "u64"], result: "i32" },
  kpod_bpf_attach: {
    parameters: [
      /* struct kpod_bpf *object */ "u64",
      /* const char *program */ "buffer",
    ],
    result: "i32",
  },
  kpod_bpf_attach_perf_event: {
    parameters: [
      /* struct kpod_bpf *object */ "u64",
      /* const char *program */ "buffer",
      /* uint32_t type */ "u32",
      /* uint64_t config */ "u64",
      /* uint64_t sample_period */ "u64",
    ],
    result: "i32",
  },
  kpod_bpf_map_info: {
    parameters: [
      /* struct kpod_bpf *object */ "u64",
      /* const char *map */ "buffer",
      /* struct kpod_map_info *info */ "buffer",
    ],
    result: "i32",
  },
  kpod_bpf_program_info: {
    parameters: [
      /* struct kpod_bpf *object */ "u64",
      /* const char *program */ "buffer",
      /* struct kpod_program_info *info */ "buffer",
    ],
    result: "i32",
  },
  kpod_bpf_map_read: {
    parameters: [
      /* struct kpod_bpf *object */ "u64",
      /* const char *map */ "buffer",
      /* uint8_t *keys */ "buffer",
      /* uint8_t *values */ "buffer",
      /* uint64_t capacity */ "u64",
    ],
    result: "i64",
  },
  kpod_bpf_map_delete: {
    parameters: [
      /* struct kpod_bpf *object */ "u64",
      /* const char *map */ "buffer",
      /* const uint8_t *key */ "buffer",
    ],
    result: "i32",
  },
  kpod_log_take: {
    parameters: [
      /* char *buffer */ "buffer",
      /* uint64_t capacity */ "u64",
    ],
    result: "i64",
  },
  kpod_libbpf_version: {
    parameters: [
      /* char *buffer */ "buffer",
      /* uint64_t capacity */ "u64",
    ],
    result: "i64",
  },
} as const satisfies Deno.ForeignLibraryInterface;
