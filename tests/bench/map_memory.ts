/** What eBPF maps take of the kernel's memory, by its own account, and what they would with another number of CPUs. */
import { field } from "./bpf_statistics.ts";

/** A map as the kernel describes it by a descriptor (proc_pid_fdinfo(5)). */
export interface MapFacts {
  /** enum bpf_map_type of include/uapi/linux/bpf.h. */
  readonly type: number;
  readonly flags: number;
  /** In bytes. */
  readonly keySize: number;
  /** In bytes, of one CPU's copy. */
  readonly valueSize: number;
  readonly maxEntries: number;
  /** In bytes. */
  readonly memory: number;
}

const HASH = 1, ARRAY = 2, PERCPU_HASH = 5, PERCPU_ARRAY = 6, SK_STORAGE = 24, TASK_STORAGE = 29;
/** BPF_F_NO_PREALLOC, which hashes would have to have for their entries to be made one by one. */
const ONE_BY_ONE = 1;

/** `struct htab_elem` before key and value, `struct bucket` of hashes and of storage, and pointers, in bytes. */
const ELEMENT = 48, BUCKET = 16, POINTER = 8;
/** No record of a map itself is larger; in bytes. */
const MOST_OF_RECORD = 4096;

/** What is alike of one kind is compared: these types have the same record. */
const RECORDS: Readonly<Record<number, string>> = {
  [HASH]: "hash",
  [PERCPU_HASH]: "hash",
  [PERCPU_ARRAY]: "array",
  [SK_STORAGE]: "storage",
  [TASK_STORAGE]: "storage",
};

/** The maps among the descriptors of a process, each once. */
export function mapsAmong(descriptors: readonly string[]): MapFacts[] {
  const maps = new Map<number, MapFacts>();
  for (const info of descriptors) {
    const [id, type, memory] = [field(info, "map_id"), field(info, "map_type"), field(info, "memlock")];
    // Those of links and programs have a part of these.
    if (id === undefined || type === undefined || memory === undefined) continue;
    maps.set(id, {
      type,
      memory,
      flags: field(info, "map_flags") ?? 0,
      keySize: field(info, "key_size") ?? 0,
      valueSize: field(info, "value_size") ?? 0,
      maxEntries: field(info, "max_entries") ?? 0,
    });
  }
  return [...maps.values()];
}

/**
 * Bytes that the maps would take with `others` possible CPUs instead of this machine's `cpus`. What is counted here
 * has to explain what the kernel states for each of them, but for the map's own record, which is the same for all of
 * a kind; otherwise it throws.
 */
export function memoryWith(others: number, maps: readonly MapFacts[], cpus: number): number {
  const records = new Map<string, number>();
  for (const map of maps) {
    const kind = RECORDS[map.type];
    if (kind === undefined) continue;
    const record = map.memory - contentOf(map, cpus);
    if (record <= 0 || record >= MOST_OF_RECORD || record !== (records.get(kind) ?? record)) {
      throw new Error(
        `Cannot compute the memory for ${others} CPUs: a map of type ${map.type} takes ${map.memory} bytes here, ` +
          `and ${
            contentOf(map, cpus)
          } are explained; this kernel lays maps out otherwise or counts them otherwise`,
      );
    }
    records.set(kind, record);
  }
  return maps.reduce((sum, map) => sum + map.memory - contentOf(map, cpus) + contentOf(map, others), 0);
}

/** As `htab_map_mem_usage()`, `array_map_mem_usage()` and `bpf_local_storage_map_mem_usage()` count, less the record. */
function contentOf(map: MapFacts, cpus: number): number {
  const { type, flags, keySize, valueSize, maxEntries } = map;
  const [key, value] = [roundUp8(keySize), roundUp8(valueSize)];
  const buckets = BUCKET * powerOfTwo(maxEntries);
  switch ((flags & ONE_BY_ONE) !== 0 && RECORDS[type] === "hash" ? undefined : type) {
    case HASH:
      // Each CPU has an element in reserve, and the pointer to it.
      return buckets + (maxEntries + cpus) * (ELEMENT + key + value) + cpus * POINTER;
    case PERCPU_HASH:
      return buckets + maxEntries * (ELEMENT + key + POINTER + cpus * value);
    case PERCPU_ARRAY:
      return maxEntries * (POINTER + cpus * value);
    case ARRAY:
      return 0;
    case SK_STORAGE:
    case TASK_STORAGE:
      return BUCKET * powerOfTwo(Math.max(2, cpus));
  }
  throw new Error(`Cannot compute the memory of a map of type ${type} with flags ${flags}: not known here`);
}

function roundUp8(size: number): number {
  return Math.ceil(size / 8) * 8;
}

/** The least power of two that is not smaller. */
function powerOfTwo(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}
