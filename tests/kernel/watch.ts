/** The agent's eBPF programs over a lab node, read without the rest of the agent. */
import { fileURLToPath } from "node:url";
import { findKubepods } from "../../src/cgroup/hierarchy.ts";
import type { Counters } from "../../src/collectors/target_totals.ts";
import { HostRoot } from "../../src/native/host_files.ts";
import { type ProgramOptions, Programs } from "../../src/native/programs.ts";
import { numbers } from "../../src/native/records.ts";
import type { SignalName } from "../../src/native/signals.ts";
import { syscallNumber } from "../../src/syscalls.ts";
import { cgroupId } from "../lab/cgroups.ts";
import type { LabNode } from "../lab/node.ts";
import type { LabContainer } from "../lab/pods.ts";

export interface WatchOptions {
  readonly maxCgroups?: number;
  /** Names of the system calls to track. */
  readonly syscalls?: readonly string[];
}

const DIRECTORY = fileURLToPath(new URL("../../bpf", import.meta.url));

/** Programs attached for some signals; every one of them has to work on this kernel. */
export class Watch implements Disposable {
  readonly programs: Programs;

  constructor(node: LabNode, signals: readonly SignalName[], options: WatchOptions = {}) {
    using hierarchy = HostRoot.open(node.root);
    const kubepods = findKubepods(hierarchy);
    if (kubepods === undefined) throw new Error(`Cannot find kubepods below ${node.root}: add a pod first`);
    this.programs = new Programs({
      directory: DIRECTORY,
      signals,
      kubepods: { ...kubepods, name: kubepods.path.slice(kubepods.path.lastIndexOf("/") + 1) },
      maxCgroups: options.maxCgroups ?? 1024,
      syscalls: (options.syscalls ?? []).map(numberOf),
      ...forced(),
    });
    const failed = this.programs.states.filter(({ state }) => state !== "attached");
    if (failed.length > 0) {
      this.programs.close();
      throw new Error(`Cannot attach: ${JSON.stringify(failed)}`);
    }
  }

  /** What a map has counted for a container, all zero while it has no entry; syscalls by name. */
  counters(map: string, container: LabContainer, syscall?: string): Counters {
    const id = idOf(container);
    const number = syscall === undefined ? undefined : BigInt(numberOf(syscall));
    const found = this.programs.readMap(map).find(({ key }) => sameKey(key, id, number));
    return found === undefined ? {} : numbers(found.value);
  }

  /** One counter of a map for a container. */
  count(map: string, container: LabContainer, counter: string, syscall?: string): number {
    return Number(this.counters(map, container, syscall)[counter] ?? 0);
  }

  /** Ids of all cgroups that a map has entries of. */
  ids(map: string): bigint[] {
    return this.programs.readMap(map).map(({ key }) =>
      BigInt(typeof key === "object" ? (key as { cgroup_id: number }).cgroup_id : key as number)
    );
  }

  [Symbol.dispose](): void {
    this.programs.close();
  }
}

/**
 * Which rungs to take, by the environment: KPOD_TEST_RUNGS="oom=oom_kill_kprobe …" and KPOD_TEST_STORAGE=hash. So the
 * same tests hold every rung against its witness, on a kernel that has it.
 */
function forced(): Pick<ProgramOptions, "rungs" | "localStorage"> {
  const rungs = (Deno.env.get("KPOD_TEST_RUNGS") ?? "").split(" ").filter(Boolean);
  return {
    rungs: Object.fromEntries(rungs.map((rung) => rung.split("="))),
    ...(Deno.env.get("KPOD_TEST_STORAGE") === "hash" ? { localStorage: false } : {}),
  };
}

/** The cgroup id of a container that runs. */
export function idOf(container: LabContainer): bigint {
  if (container.cgroup === undefined) throw new Error(`Cannot identify ${container.name}: it is not running`);
  return BigInt(cgroupId(container.cgroup));
}

/** Sum of a histogram's slots. */
export function observations(counters: Counters, slots: string): number {
  return ((counters[slots] ?? []) as number[]).reduce((sum, count) => sum + count, 0);
}

function sameKey(key: unknown, id: bigint, number: bigint | undefined): boolean {
  if (typeof key !== "object") return BigInt(key as number) === id;
  const record = key as { cgroup_id: number; number: number };
  return BigInt(record.cgroup_id) === id && BigInt(record.number) === number;
}

function numberOf(name: string): number {
  const number = syscallNumber(Deno.build.arch, name);
  if (number === undefined) throw new Error(`Cannot track ${name}: ${Deno.build.arch} has no such call`);
  return number;
}
