/** The foreign functions of `native/kpod_memory.h`, which says what each does. */

export const MEMORY_SYMBOLS = {
  kpod_memory_spare: { parameters: [], result: "i32" },
  kpod_memory_release: { parameters: [], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;
