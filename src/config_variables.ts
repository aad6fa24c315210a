/** The agent's environment variables: the one list that the schema, the help and the report are made from. */

import { isIP, isIPv6 } from "node:net";
import type { z } from "zod";
import {
  absolutePath,
  anyText,
  type Field,
  flag,
  hosts,
  httpUrl,
  ipAddress,
  labelSelector,
  listenAddress,
  namespaces,
  namespacesOrNone,
  oneOf,
  optional,
  paths,
  someOf,
  wholeNumber,
  wordsOf,
} from "./config_fields.ts";
import { LOG_LEVELS } from "./log.ts";
import { COLLECTORS, PROFILE_NAMES } from "./profiles.ts";
import { type Architecture, SYSCALL_NAMES } from "./syscalls.ts";

/** What the agent knows of itself and its machine without being told. */
export interface Facts {
  readonly arch: Architecture;
  /** Where the eBPF objects lie unless KPOD_BPF_PROGRAM_DIR says otherwise. */
  readonly programDirectory: string;
  readonly hostname: string;
}

/** Variables that the defaults of others are made from; absent if not set. */
interface Origins {
  readonly NODE_NAME?: string;
  readonly NODE_IP?: string;
  readonly KPOD_KUBELET_URL?: string;
  readonly KPOD_KUBELET_CERT_FILE?: string;
}

interface Variable {
  /** One sentence for the help. */
  readonly description: string;
  readonly field: Field;
  readonly default?: string | DerivedDefault;
}

/** A default that depends on other variables or on the machine. */
interface DerivedDefault {
  /** As the help tells it. */
  readonly shown: string;
  readonly derive: (given: Origins, facts: Facts) => string | undefined;
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Each takes 18 series of a container, and 31 with fine histograms. */
const MOST_SYSCALLS = 64;
/** Libraries wait by this one, where the other is not there. */
const EPOLL_CALL = Deno.build.arch === "aarch64" ? "epoll_pwait" : "epoll_wait";

export const VARIABLES = {
  KPOD_PROFILE: {
    description: "Which collectors run; custom runs those that KPOD_COLLECTORS names.",
    field: oneOf(PROFILE_NAMES),
    default: "standard",
  },
  KPOD_COLLECTORS: {
    description: "Collectors of the custom profile; with it required, with others not allowed.",
    field: optional(someOf(COLLECTORS)),
  },
  KPOD_POLL_INTERVAL_MS: {
    description: "Longest time between two collections; a scrape makes one too.",
    field: wholeNumber("milliseconds", 1_000, 600_000),
    default: "30000",
  },
  NODE_NAME: {
    description: "The node's name (spec.nodeName by the downward API), for the node label.",
    field: anyText("a name"),
    default: { shown: "the host name", derive: (_, { hostname }) => hostname },
  },
  NODE_IP: {
    description: "The node's address (status.hostIP by the downward API), to reach the kubelet at.",
    field: optional(ipAddress()),
  },
  KPOD_KUBELET_URL: {
    description: "The kubelet, whose /pods is read.",
    field: optional(httpUrl()),
    default: { shown: "https://$NODE_IP:10250", derive: defaultKubeletUrl },
  },
  KPOD_KUBELET_POLL_INTERVAL_SECONDS: {
    description: "Time between two questions to the kubelet.",
    field: wholeNumber("seconds", 1, 3_600),
    default: "30",
  },
  KPOD_KUBELET_TIMEOUT_MS: {
    description: "How long the kubelet may take to answer.",
    field: wholeNumber("milliseconds", 100, 60_000),
    default: "5000",
  },
  KPOD_KUBELET_TOKEN_FILE: {
    description: "File with the bearer token for the kubelet, read anew each time.",
    field: optional(anyText("a path")),
    default: {
      shown: `${SERVICE_ACCOUNT}/token, over https and without a client certificate`,
      derive: (given) =>
        isHttps(given) && given.KPOD_KUBELET_CERT_FILE === undefined ? `${SERVICE_ACCOUNT}/token` : undefined,
    },
  },
  KPOD_KUBELET_CA_FILE: {
    description:
      "PEM files of the authorities that may have signed the kubelet's certificate, or of that itself, read anew " +
      "each time; those that do not exist are passed over as long as one does.",
    field: optional(paths()),
    default: {
      shown: `${SERVICE_ACCOUNT}/ca.crt, over https`,
      derive: (given) => isHttps(given) ? `${SERVICE_ACCOUNT}/ca.crt` : undefined,
    },
  },
  KPOD_KUBELET_SERVER_NAME: {
    description: "Names and addresses of which the kubelet's certificate has to be for one.",
    field: optional(hosts()),
    default: {
      shown: "the host of an https URL and, if that is an address, $NODE_NAME",
      derive: defaultServerNames,
    },
  },
  KPOD_KUBELET_INSECURE_TLS: {
    description:
      "Whether to take any certificate for the kubelet's: whoever answers is believed and gets the token.",
    field: flag(),
    default: "false",
  },
  KPOD_KUBELET_CERT_FILE: {
    description: "PEM file of a client certificate for the kubelet.",
    field: optional(anyText("a path")),
  },
  KPOD_KUBELET_KEY_FILE: {
    description: "PEM file of the client certificate's private key.",
    field: optional(anyText("a path")),
  },
  KPOD_FILTER_NAMESPACES: {
    description: "Namespaces to report, and no others, whatever KPOD_FILTER_EXCLUDE_NAMESPACES says.",
    field: optional(namespaces()),
    default: { shown: "all namespaces", derive: () => undefined },
  },
  KPOD_FILTER_EXCLUDE_NAMESPACES: {
    description: "Namespaces to leave out unless KPOD_FILTER_NAMESPACES is set; none leaves out nothing.",
    field: namespacesOrNone(),
    default: "kube-system,kube-public",
  },
  KPOD_FILTER_LABEL_SELECTOR: {
    description: "What the labels of a pod have to be like for it to be reported.",
    field: optional(labelSelector()),
    default: { shown: "all pods", derive: () => undefined },
  },
  KPOD_BPF_ENABLED: {
    description: "Whether eBPF programs are loaded at all.",
    field: flag(),
    default: "true",
  },
  KPOD_BPF_PROGRAM_DIR: {
    description: "Directory of the compiled eBPF objects.",
    field: anyText("a path"),
    default: { shown: "bpf/ beside mod.ts", derive: (_, { programDirectory }) => programDirectory },
  },
  KPOD_BPF_MAX_CGROUPS: {
    description: "Containers there is room for in the kernel's maps.",
    field: wholeNumber("containers", 1, 65_536),
    default: "1024",
  },
  KPOD_MAX_SERIES_PER_POD: {
    description: "Series that one pod may have; what is more is left out and counted in kpod_series_dropped.",
    field: wholeNumber("series", 100, 10_000_000),
    default: "10000",
  },
  KPOD_MAX_SERIES: {
    description: "Series that all pods of the node may have; the youngest pods are left out beyond that.",
    field: wholeNumber("series", 1_000, 10_000_000),
    default: "250000",
  },
  KPOD_SYSCALL_TRACKED: {
    description:
      "System calls that the syscall collector looks at; those that this architecture lacks are left out.",
    field: wordsOf("system calls", SYSCALL_NAMES, MOST_SYSCALLS),
    default: `read,write,openat,close,connect,accept4,sendto,recvfrom,${EPOLL_CALL},futex`,
  },
  KPOD_HISTOGRAM_RESOLUTION: {
    description: "Histogram buckets that grow by four (coarse) or by two (fine).",
    field: oneOf(["coarse", "fine"]),
    default: "coarse",
  },
  KPOD_CGROUP_ROOT: {
    description: "Where the host's cgroup2 hierarchy is mounted.",
    field: absolutePath(),
    default: "/sys/fs/cgroup",
  },
  KPOD_PROC_ROOT: {
    description: "Where the host's proc filesystem is mounted.",
    field: absolutePath(),
    default: "/proc",
  },
  KPOD_SYS_ROOT: {
    description: "Where the host's sysfs is mounted.",
    field: absolutePath(),
    default: "/sys",
  },
  KPOD_LISTEN_ADDRESS: {
    description: "Where metrics and health are served.",
    field: listenAddress(),
    default: "0.0.0.0:9090",
  },
  KPOD_WEB_CONFIG_FILE: {
    description:
      "File that says who may read these: TLS, basic authentication and headers, in the format of Prometheus' " +
      "exporter-toolkit; read anew when it, or a file it names, changes.",
    field: optional(anyText("a path")),
    default: { shown: "plain HTTP, to everybody", derive: () => undefined },
  },
  KPOD_LOG_LEVEL: {
    description: "The least severe messages that are logged.",
    field: oneOf(LOG_LEVELS),
    default: "info",
  },
  KPOD_LOG_FORMAT: {
    description: "One JSON object or one line of text for each message.",
    field: oneOf(["json", "text"]),
    default: "json",
  },
} as const satisfies Record<string, Variable>;

export type VariableName = keyof typeof VARIABLES;

/** Texts of the variables that are set, trimmed and not empty. */
export type Given = { readonly [name in VariableName]?: string };

/** What the variables were read as. */
export type Values = { readonly [name in VariableName]: z.output<(typeof VARIABLES)[name]["field"]> };

/** The variables in the order of the help. */
export function variables(): readonly (readonly [VariableName, Variable])[] {
  return Object.entries(VARIABLES) as [VariableName, Variable][];
}

/** Returns where the kubelet is, null if that cannot be told. */
export function kubeletUrl(given: Origins): URL | null {
  return URL.parse(given.KPOD_KUBELET_URL ?? defaultKubeletUrl(given) ?? "");
}

function isHttps(given: Origins): boolean {
  return kubeletUrl(given)?.protocol === "https:";
}

function defaultKubeletUrl({ NODE_IP }: Origins): string | undefined {
  if (NODE_IP === undefined || isIP(NODE_IP) === 0) return undefined;
  return `https://${isIPv6(NODE_IP) ? `[${NODE_IP}]` : NODE_IP}:10250`;
}

/** Some kubelets' certificates are for the node's name only, some for its address too. */
function defaultServerNames(given: Origins): string | undefined {
  if (!isHttps(given)) return undefined;
  const { NODE_NAME } = given;
  const host = kubeletUrl(given)?.hostname.replace(/^\[(.*)\]$/, "$1") ?? "";
  return isIP(host) === 0 || NODE_NAME === undefined ? host : `${host},${NODE_NAME}`;
}
