/** The preflight: looks at everything the agent will need on this machine, and says what is there and what to do. */
import { basename } from "node:path";
import { openHierarchy } from "../cgroup/hierarchy.ts";
import { ownCgroupId } from "../cgroup/own.ts";
import type { Config } from "../config.ts";
import { createKubeletClient, type ReadFile } from "../discovery/kubelet.ts";
import { HostRoot } from "../native/host_files.ts";
import type { ProgramOptions, Programs, ProgramState } from "../native/programs.ts";
import { lookAtCertificate } from "./certificate.ts";
import { controllers, findPods, hierarchyMode, kubepodsRoot, type PodCgroups, pressure } from "./cgroups.ts";
import type { PasswordFits } from "../web/credentials.ts";
import { attempt, type Finding, ok } from "./finding.ts";
import { hostProcesses } from "./host_processes.ts";
import { bpfStatistics, btf, kernelVersion, lockdown } from "./kernel.ts";
import { askKubelet, kubeletFindings, podFindings } from "./kubelet.ts";
import { listenAddress } from "./listen.ts";
import { capabilities, openFiles, privileges } from "./process.ts";
import { mapCapacity, signals } from "./signals.ts";

export interface DoctorOptions {
  readonly config: Pick<
    Config,
    "collectors" | "kubelet" | "filter" | "bpf" | "cgroupRoot" | "procRoot" | "listen" | "webConfigFile"
  >;
  /** The agent's own. */
  readonly proc: HostRoot;
  readonly sys: HostRoot;
  readonly readFile: ReadFile;
  readonly passwordFits: PasswordFits;
  /** Loads the eBPF programs that the agent would load; `undefined` if it would load none. */
  readonly loadPrograms:
    | ((kubepods: ProgramOptions["kubepods"]) => Pick<Programs, "states" | "close">)
    | undefined;
}

/** All of the preflight takes less than five seconds, whoever does not answer. */
const LONGEST_WAIT_MS = 3_500;

/** Programs are to be tried where there are no pods as well: no cgroup has the id 0. */
const NO_KUBEPODS = { id: 0n, name: "kubepods" };

/** What one check found out and later ones use; absent where it could not. */
interface Seen {
  hierarchy?: HostRoot;
  pods?: PodCgroups;
  states?: readonly ProgramState[];
  /** That an agent would show, as PEM. */
  certificate?: string | undefined;
}

/** Makes every check and changes nothing: what was loaded is detached, what was opened is closed. Never rejects. */
export async function examine(options: DoctorOptions): Promise<Finding[]> {
  const { config, proc, sys, loadPrograms } = options;
  const collectors: readonly string[] = config.collectors;
  const programs = loadPrograms !== undefined;
  const findings: Finding[] = [];
  const check = async (...parameters: Parameters<typeof attempt>) => {
    findings.push(...await attempt(...parameters));
  };
  const kubelet = { ...config.kubelet, timeoutMs: Math.min(config.kubelet.timeoutMs, LONGEST_WAIT_MS) };
  const outcome = askKubelet(() => createKubeletClient(kubelet, options.readFile).fetchPods());
  const certificate = lookAtCertificate(kubelet, options.readFile);
  const seen: Seen = {};
  try {
    await check("kernel", () => kernelVersion(proc));
    await check("BTF", () => btf(sys, programs));
    await check("capabilities", () => capabilities(proc, { programs, collectors }));
    await check("cgroup v2", () => {
      seen.hierarchy = openHierarchy(config.cgroupRoot);
      return hierarchyMode(seen.hierarchy.path, proc);
    });
    if (seen.hierarchy !== undefined) {
      const { hierarchy } = seen;
      await check("kubepods", () => {
        seen.pods = findPods(hierarchy);
        return kubepodsRoot(seen.pods, hierarchy);
      });
      const directory = seen.pods?.kubepods?.path ?? ".";
      await check("controllers", () => controllers(hierarchy, directory, collectors, proc));
      await check("pressure", () => pressure(hierarchy, directory, collectors));
      await check("host processes", () => {
        using hostProc = HostRoot.open(config.procRoot);
        return hostProcesses(hierarchy, seen.pods?.containers ?? [], hostProc, collectors);
      });
    }
    await check("privileges", () => {
      const own = ownCgroupId(proc, sys.path);
      const isContainer = seen.pods?.containers.some(({ id }) => id === own) ?? false;
      return privileges(proc, { programs, collectors }, isContainer);
    });
    await check("signals", () => {
      if (loadPrograms === undefined) return ok("signals", "none wanted: no eBPF program is to be loaded");
      seen.states = statesOf(loadPrograms, seen.pods);
      return signals(seen.states);
    });
    await check("lockdown", () => lockdown(sys, proc, programs, seen.states ?? []));
    await check("eBPF statistics", () => bpfStatistics(proc));
    findings.push(...kubeletFindings(config.kubelet, await outcome), ...await certificate);
    await check("pods and cgroups", async () => {
      const answer = await outcome;
      if (!("list" in answer) || seen.pods === undefined) return [];
      return podFindings(answer.list, seen.pods.containers, config.filter);
    });
    await check("web configuration", async () => {
      if (config.webConfigFile === undefined) return [];
      // YAML and all that is only loaded where it is wanted.
      const { lookAtWebConfig } = await import("./web_config.ts");
      const { finding, settings } = await lookAtWebConfig(config.webConfigFile, options);
      seen.certificate = settings?.tls?.cert;
      return finding;
    });
    await check("listen address", () => listenAddress(config.listen, seen.certificate));
    const containers = seen.pods?.containers.length ?? 0;
    await check("open files", () => openFiles(proc, containers));
    if (programs) await check("map capacity", () => mapCapacity(config.bpf.maxCgroups, containers));
    return findings;
  } finally {
    seen.hierarchy?.close();
  }
}

function statesOf(
  loadPrograms: NonNullable<DoctorOptions["loadPrograms"]>,
  pods: PodCgroups | undefined,
): readonly ProgramState[] {
  const kubepods = pods?.kubepods;
  const loaded = loadPrograms(
    kubepods === undefined ? NO_KUBEPODS : { ...kubepods, name: basename(kubepods.path) },
  );
  loaded.close();
  return loaded.states;
}
