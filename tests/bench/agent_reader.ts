/** What a cycle reads and nothing else, in C: see agent_reader.c. */
import type { AgentProcess } from "../agent/agent.ts";
import type { Farm } from "./agent_farm.ts";
import { Helper } from "./agent_helper.ts";
import { METRIC_FILES } from "./agent_tree.ts";
import { field, heldBy } from "./bpf_statistics.ts";

/** Nanoseconds. */
export interface ReadTimes {
  readonly cgroups: number;
  readonly interfaces: number;
  readonly filesystems: number;
  readonly maps: number;
  /** The lists of what is mounted, which tell which filesystems there are. */
  readonly mounts: number;
}

const HASH = 1, PER_CPU_HASH = 5;
/** Maps of the programs' own, where tasks and sockets cannot hold values themselves. */
const OWN_KEY_BYTES = 16;

/**
 * A reader of the files, filesystems and maps that an agent's metrics are from, by what it has served: `text` is an
 * exposition of its own.
 */
export async function startReader(farm: Farm, agent: AgentProcess, text: string): Promise<Helper> {
  const reader = await Helper.start("agent_reader", [], farm.wrapper);
  try {
    await Promise.all([
      ...farm.cgroups.flatMap((cgroup) => METRIC_FILES.map((name) => `cgroup ${cgroup}/${name}`)),
      ...farm.pods.map(({ sandboxPid }) => `interfaces /proc/${sandboxPid}/net/dev`),
      ...farm.pods.flatMap(({ pids }) => pids.map((pid) => `mounts /proc/${pid}/mountinfo`)),
      ...filesystems(farm, text).map((path) => `filesystem ${path}`),
      ...mapsOf(agent.pid).map((id) => `map ${id}`),
    ].map((line) => reader.send(line)));
    return reader;
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  }
}

/** The directories of the filesystems that are served. */
function filesystems({ pods }: Farm, text: string): string[] {
  const pids = new Map(
    pods.flatMap(({ pod, pids }) =>
      pod.containers.map(({ name }, index) => [`${pod.spec.name}/${name}`, pids[index]] as const)
    ),
  );
  const series = text.matchAll(
    /^kpod_fs_capacity_bytes\{.*?pod="(.*?)",container="(.*?)".*?mountpoint="(.*?)"/gm,
  );
  return [...series].map(([, pod, container, path]) =>
    `/proc/${pids.get(`${pod}/${container}`)}/root${path}`
  );
}

/** The ids of the maps that hold counts. */
function mapsOf(pid: number): number[] {
  const ids = heldBy(pid).flatMap((info) => {
    const [id, type, keyBytes] = ["map_id", "map_type", "key_size"].map((name) => field(info, name));
    const holdsCounts = (type === HASH || type === PER_CPU_HASH) && keyBytes !== OWN_KEY_BYTES;
    return id === undefined || !holdsCounts ? [] : [id];
  });
  return [...new Set(ids)];
}
