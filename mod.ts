/** The agent's entry: flags, configuration, wiring, signals. Nothing else in the tree acts on import. */
import { parseArgs } from "node:util";
import { Agent } from "./src/agent.ts";
import { ownCgroupId } from "./src/cgroup/own.ts";
import { createCollectors } from "./src/collectors/list.ts";
import { type Config, ConfigError, parseConfig } from "./src/config.ts";
import { describeConfig, helpText } from "./src/config_help.ts";
import { Confinement } from "./src/confinement.ts";
import { Discovery } from "./src/discovery/discovery.ts";
import { createPodFilter } from "./src/discovery/filter.ts";
import { createKubeletClient } from "./src/discovery/kubelet.ts";
import { unverifiedRisk } from "./src/discovery/kubelet_certificate.ts";
import { examine } from "./src/doctor/doctor.ts";
import { exitCode, renderJson, renderText } from "./src/doctor/report.ts";
import { createLogger, type Logger } from "./src/log.ts";
import { processFamilies } from "./src/metrics/process.ts";
import { renderFamilies } from "./src/metrics/registry.ts";
import type { BuildInfo } from "./src/metrics/self.ts";
import { libbpfVersion } from "./src/native/bpf.ts";
import { environmentNames } from "./src/native/environment.ts";
import { connectionsOn, dropConnection, openDescriptors, TcpSockets } from "./src/native/connections.ts";
import { HostRoot, readHostFile } from "./src/native/host_files.ts";
import { passwordFits } from "./src/native/password.ts";
import { releaseMemory, spareMemory } from "./src/native/process_memory.ts";
import { type ProgramOptions, Programs } from "./src/native/programs.ts";
import { lookingIntoContainers } from "./src/profiles.ts";
import { serve, type ServerDependencies } from "./src/server.ts";
import { VERSION } from "./src/version.ts";
import { createWeb, type Web } from "./src/web/web.ts";
import { WebConfigError } from "./src/web/web_config_error.ts";

const USAGE = `kpod-metrics ${VERSION}: per-pod, per-container kernel metrics for Prometheus

Usage: mod.ts [--help] [--version] [--print-config]
       mod.ts doctor [--json]

  doctor              see whether the agent would work on this machine with these settings, and what to do if not
      --json          the doctor's findings as an array of {check, status, found, advice}
  -h, --help          this text
  -V, --version       the version
      --print-config  the settings in force, as lines of an environment file`;

/** Clock ticks a second in /proc/PID/stat: USER_HZ, 100 on every architecture the agent runs on. */
const CLOCK_TICKS = 100;

async function main(): Promise<void> {
  const flags = readFlags();
  if (flags.help) return console.log(`${USAGE}\n\n${helpText().trimEnd()}`);
  if (flags.version) return console.log(`kpod-metrics ${VERSION}`);
  const proc = HostRoot.open("/proc");
  const config = parseConfig(environment(), {
    arch: Deno.build.arch,
    programDirectory: `${import.meta.dirname}/bpf`,
    hostname: proc.readText("sys/kernel/hostname").trim(),
  });
  if (flags["print-config"]) return console.log(describeConfig(config));
  const log = createLogger(config.log.level, config.log.format);
  if (flags.command === "doctor") return await doctor(config, proc, log, flags.json ?? false);
  await run(config, proc, log);
}

/** What is set of the variables the agent may see. */
function environment(): Map<string, string> {
  const names = [...environmentNames("KPOD_"), "NODE_NAME", "NODE_IP"];
  return new Map(names.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value] as const];
  }));
}

const FLAGS = {
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "V" },
  "print-config": { type: "boolean" },
  json: { type: "boolean" },
} as const;

function readFlags() {
  try {
    const { values, positionals } = parseArgs({ args: Deno.args, options: FLAGS, allowPositionals: true });
    const [command, ...more] = positionals;
    if (more.length > 0 || command !== undefined && command !== "doctor") {
      throw new Error(`Cannot do ${JSON.stringify(positionals.join(" "))}: the one command is doctor`);
    }
    if (values.json && command === undefined) throw new Error("Cannot use --json without the command doctor");
    return { ...values, command };
  } catch (error) {
    throw new ConfigError([`${error instanceof Error ? error.message : error}; see --help`]);
  }
}

/** Prints what the preflight finds; ends the process, with 1 if the agent could not work. */
async function doctor(config: Config, proc: HostRoot, log: Logger, json: boolean): Promise<never> {
  const { signals, loadPrograms } = collecting(config, log);
  const findings = await examine({
    config,
    proc,
    sys: HostRoot.open(config.sysRoot),
    readFile: readHostFile,
    passwordFits,
    loadPrograms: signals.length === 0 ? undefined : loadPrograms,
  });
  console.log(json ? renderJson(findings) : renderText(findings));
  Deno.exit(exitCode(findings));
}

/** The collectors wanted, the kernel signals they need, and what loads the eBPF programs for those. */
function collecting(config: Config, log: Logger) {
  const { collectors, signals } = createCollectors({
    collectors: config.collectors,
    histogramResolution: config.histogramResolution,
    syscalls: config.syscalls.tracked,
    procRoot: config.procRoot,
    sysRoot: config.sysRoot,
    log,
  });
  const loadPrograms = !config.bpf.enabled
    ? undefined
    : (kubepods: ProgramOptions["kubepods"]) =>
      new Programs({
        directory: config.bpf.programDirectory,
        signals,
        maxCgroups: config.bpf.maxCgroups,
        syscalls: config.syscalls.tracked.map(({ number }) => number),
        kubepods,
      });
  return { collectors, signals, loadPrograms };
}

async function run(config: Config, proc: HostRoot, log: Logger): Promise<void> {
  spareMemory();
  const build: BuildInfo = {
    version: VERSION,
    deno: Deno.version.deno,
    libbpf: libbpfVersion(),
    kernel: proc.readText("sys/kernel/osrelease").trim(),
  };
  const { fetchPods } = createKubeletClient(config.kubelet, readHostFile);
  const discovery = new Discovery(fetchPods, {
    intervalMs: config.kubelet.pollIntervalMs,
    log,
    onPods: (pods) => agent.learn(pods),
  });
  const { collectors, loadPrograms } = collecting(config, log);
  const web = await openWeb(config, proc, log);
  const containers = lookingIntoContainers(config.collectors).length > 0;
  const confinement = new Confinement(log);
  const agent = new Agent(
    {
      node: config.nodeName,
      cgroupRoot: config.cgroupRoot,
      pollIntervalMs: config.pollIntervalMs,
      kubeletPollIntervalMs: config.kubelet.pollIntervalMs,
      collectors,
      includes: createPodFilter(config.filter),
      loadPrograms: loadPrograms === undefined ? undefined : (kubepods) => {
        if (confinement.isFinal) endForAnother(kubepods.name, log);
        return loadPrograms(kubepods);
      },
      onLoaded(isContainer) {
        // The pods' cgroup stays as long as the agent is in it; another one may take its place where it is not.
        const own = ownCgroupId(proc, config.sysRoot);
        confinement.confine({ programs: own === undefined || !isContainer(own), maps: true, containers });
      },
      series: config.series,
      build,
      bpfStatisticsOn: () => bpfStatisticsOn(proc),
      processFamilies: () => [...ownProcess(proc), ...web.families()],
    },
    discovery,
    log,
  );
  const ended = signalled();
  const server = await serve(serverDependencies(config, agent, build, log), config.listen, web);
  log.info("kpod-metrics is listening", {
    version: VERSION,
    address: `${server.address.hostname}:${server.address.port}`,
    scheme: web.isSecure ? "https" : "http",
    profile: config.profile,
    kubelet: config.kubelet.url.href,
  });
  warnOfUnverified(config.kubelet, log);
  if (loadPrograms === undefined) confinement.confine({ programs: false, maps: false, containers });
  discovery.start();
  await agent.start();
  releaseMemory();
  log.info("stopping", { signal: await ended });
  await Promise.all([server.close(), discovery.stop()]);
  await agent.stop();
  log.info("stopped");
  Deno.exit(0);
}

/** How to serve, by the web configuration file if there is one. */
function openWeb(config: Config, proc: HostRoot, log: Logger): Promise<Web> {
  return createWeb(config.webConfigFile, {
    readFile: readHostFile,
    passwordFits,
    connections(port) {
      const sockets = new TcpSockets(proc);
      return { atMost: () => sockets.count(), list: () => connectionsOn(port), drop: dropConnection };
    },
    log,
  });
}

/** What it takes to load programs is given up by then; whoever starts the agent gives it anew. */
function endForAnother(cgroup: string, log: Logger): never {
  log.error("pods are in another cgroup now: ending, to be started again and load eBPF programs for it", {
    cgroup,
  });
  Deno.exit(1);
}

function warnOfUnverified(kubelet: Config["kubelet"], log: Logger): void {
  if (!kubelet.insecureTls || kubelet.url.protocol !== "https:") return;
  log.warn(`The kubelet's certificate is ${unverifiedRisk(kubelet)}; unset KPOD_KUBELET_INSECURE_TLS`);
}

function serverDependencies(config: Config, agent: Agent, build: BuildInfo, log: Logger): ServerDependencies {
  const started = Date.now();
  return {
    log,
    async *metrics(format) {
      yield* renderFamilies((await agent.snapshot()).families, format);
    },
    readiness: () => agent.readiness(),
    status: () => {
      const { snapshot, programs } = agent.state();
      return {
        version: VERSION,
        profile: config.profile,
        kernel: build.kernel,
        uptimeSeconds: (Date.now() - started) / 1000,
        targets: snapshot?.targets ?? 0,
        collectors: (snapshot?.runs ?? []).map(({ name, up, seconds }) => ({
          name,
          up,
          detail: `last run took ${(seconds * 1000).toFixed(1)} ms`,
        })),
        signals: (programs?.states ?? []).map(({ signal, state, program, hook, reason }) => ({
          signal,
          state,
          hook: `${program} (${hook})`,
          reason,
        })),
      };
    },
  };
}

function ownProcess(proc: HostRoot) {
  const [, bootTime = "0"] = /^btime (\d+)$/m.exec(proc.readText("stat")) ?? [];
  return processFamilies({
    stat: proc.readText("self/stat"),
    status: proc.readText("self/status"),
    limits: proc.readText("self/limits"),
    openFiles: openDescriptors(),
    bootTimeSeconds: Number(bootTime),
    clockTicks: CLOCK_TICKS,
  });
}

function bpfStatisticsOn(proc: HostRoot): boolean {
  try {
    return proc.readText("sys/kernel/bpf_stats_enabled").trim() === "1";
  } catch {
    return false;
  }
}

/** Resolves with the first signal that asks the agent to end. */
function signalled(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      Deno.addSignalListener(signal, () => resolve(signal));
    }
  });
}

try {
  await main();
} catch (error) {
  // A user's mistake, or something about this machine: the message says it all.
  console.error(`kpod-metrics: ${error instanceof Error ? error.message : error}`);
  Deno.exit(error instanceof ConfigError || error instanceof WebConfigError ? 2 : 1);
}
