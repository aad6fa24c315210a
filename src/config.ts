/** The agent's settings: environment variables in, one frozen value out. */

import { z } from "zod";
import type { PodFilterSettings } from "./discovery/filter.ts";
import type { LogFormat, LogLevel } from "./log.ts";
import type { HistogramResolution } from "./metrics/histogram.ts";
import { contradictions, fieldProblems, unknownVariables } from "./config_problems.ts";
import { type Facts, type Given, type Values, type VariableName, variables } from "./config_variables.ts";
import { type CollectorName, type Profile, resolveCollectors } from "./profiles.ts";
import { syscallNumber } from "./syscalls.ts";

export type { Facts } from "./config_variables.ts";
export { type CollectorName, COLLECTORS, type Profile, PROFILES } from "./profiles.ts";

/** Everything that can be set. Of secrets it holds paths alone. */
export interface Config {
  readonly profile: Profile;
  /** The collectors of the profile, in the order they run. */
  readonly collectors: readonly CollectorName[];
  readonly pollIntervalMs: number;
  readonly nodeName: string;
  readonly kubelet: {
    readonly url: URL;
    readonly serverNames: readonly string[];
    readonly tokenFile: string | undefined;
    readonly caFiles: readonly string[];
    readonly certFile: string | undefined;
    readonly keyFile: string | undefined;
    readonly insecureTls: boolean;
    readonly timeoutMs: number;
    readonly pollIntervalMs: number;
  };
  readonly filter: PodFilterSettings;
  readonly bpf: {
    readonly enabled: boolean;
    readonly programDirectory: string;
    readonly maxCgroups: number;
  };
  readonly syscalls: {
    /** Numbers are this architecture's. */
    readonly tracked: readonly { readonly name: string; readonly number: number }[];
    /** Names asked for that only other architectures have. */
    readonly unavailable: readonly string[];
  };
  /** How many series pods may have. */
  readonly series: { readonly maxPerPod: number; readonly max: number };
  readonly histogramResolution: HistogramResolution;
  readonly cgroupRoot: string;
  readonly procRoot: string;
  readonly sysRoot: string;
  /** An IPv6 host name is without brackets. */
  readonly listen: { readonly hostname: string; readonly port: number };
  readonly webConfigFile: string | undefined;
  readonly log: { readonly level: LogLevel; readonly format: LogFormat };
  /** Where each value came from, in the order of the help. */
  readonly settings: readonly Setting[];
}

/** One variable as it was found. */
export interface Setting {
  readonly name: VariableName;
  /** Undefined if it neither is set nor has a default. */
  readonly text: string | undefined;
  readonly isDefault: boolean;
}

/** Settings that cannot be used; the message has one line for each problem. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  constructor(readonly problems: readonly string[]) {
    super(`Cannot use these settings:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
  }
}

const SCHEMA = z.object(Object.fromEntries(variables().map(([name, { field }]) => [name, field])));

/**
 * Reads the settings out of environment variables. Empty ones count as unset, those of others are passed over.
 *
 * @throws {ConfigError} that names every bad value and every unknown `KPOD_` variable.
 */
export function parseConfig(
  environment: ReadonlyMap<string, string> | Readonly<Record<string, string>>,
  facts: Facts,
): Config {
  const set = setVariables(environment);
  const given: Given = Object.fromEntries(set);
  const settings = variables().map(([name, { default: standard }]): Setting => {
    const fallback = typeof standard === "object" ? standard.derive(given, facts) : standard;
    return { name, text: given[name] ?? fallback, isDefault: given[name] === undefined };
  });
  const texts = new Map(settings.map(({ name, text }) => [name, text]));
  const parsed = SCHEMA.safeParse(Object.fromEntries(texts), { reportInput: true });
  const problems = [
    ...unknownVariables(set),
    ...(parsed.success ? [] : fieldProblems(parsed.error.issues, texts)),
    ...contradictions(given),
  ];
  const { KPOD_KUBELET_URL: url, ...values } = (parsed.data ?? {}) as Values;
  if (problems.length > 0 || url === undefined) throw new ConfigError(problems);
  return deepFreeze({ ...toConfig(values, url, facts), settings });
}

function toConfig(
  values: Omit<Values, "KPOD_KUBELET_URL">,
  url: URL,
  facts: Facts,
): Omit<Config, "settings"> {
  const numbered = values.KPOD_SYSCALL_TRACKED.map((name) => ({
    name,
    number: syscallNumber(facts.arch, name),
  }));
  return {
    profile: values.KPOD_PROFILE,
    collectors: resolveCollectors(values.KPOD_PROFILE, values.KPOD_COLLECTORS),
    pollIntervalMs: values.KPOD_POLL_INTERVAL_MS,
    nodeName: values.NODE_NAME,
    kubelet: {
      url,
      serverNames: values.KPOD_KUBELET_SERVER_NAME ?? [],
      tokenFile: values.KPOD_KUBELET_TOKEN_FILE,
      caFiles: values.KPOD_KUBELET_CA_FILE ?? [],
      certFile: values.KPOD_KUBELET_CERT_FILE,
      keyFile: values.KPOD_KUBELET_KEY_FILE,
      insecureTls: values.KPOD_KUBELET_INSECURE_TLS,
      timeoutMs: values.KPOD_KUBELET_TIMEOUT_MS,
      pollIntervalMs: values.KPOD_KUBELET_POLL_INTERVAL_SECONDS * 1_000,
    },
    filter: {
      namespaces: values.KPOD_FILTER_NAMESPACES ?? [],
      excludeNamespaces: values.KPOD_FILTER_EXCLUDE_NAMESPACES,
      labelSelector: values.KPOD_FILTER_LABEL_SELECTOR ?? [],
    },
    bpf: {
      enabled: values.KPOD_BPF_ENABLED,
      programDirectory: values.KPOD_BPF_PROGRAM_DIR,
      maxCgroups: values.KPOD_BPF_MAX_CGROUPS,
    },
    syscalls: {
      tracked: numbered.flatMap(({ name, number }) => number === undefined ? [] : [{ name, number }]),
      unavailable: numbered.flatMap(({ name, number }) => number === undefined ? [name] : []),
    },
    series: { maxPerPod: values.KPOD_MAX_SERIES_PER_POD, max: values.KPOD_MAX_SERIES },
    histogramResolution: values.KPOD_HISTOGRAM_RESOLUTION,
    cgroupRoot: values.KPOD_CGROUP_ROOT,
    procRoot: values.KPOD_PROC_ROOT,
    sysRoot: values.KPOD_SYS_ROOT,
    listen: values.KPOD_LISTEN_ADDRESS,
    webConfigFile: values.KPOD_WEB_CONFIG_FILE,
    log: { level: values.KPOD_LOG_LEVEL, format: values.KPOD_LOG_FORMAT },
  };
}

function setVariables(
  environment: ReadonlyMap<string, string> | Readonly<Record<string, string>>,
): ReadonlyMap<string, string> {
  const entries: Iterable<[string, string]> = environment instanceof Map
    ? environment
    : Object.entries(environment as Record<string, string>);
  return new Map(
    [...entries].map(([name, text]) => [name, text.trim()] as const).filter(([, text]) => text !== ""),
  );
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}
