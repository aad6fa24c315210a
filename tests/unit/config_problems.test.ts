import assert from "node:assert/strict";
import { ConfigError, type Facts, parseConfig } from "../../src/config.ts";
import { SYSCALL_NAMES } from "../../src/syscalls.ts";

const FACTS: Facts = { arch: "x86_64", programDirectory: "/app/bpf", hostname: "box" };
const NODE = { NODE_IP: "10.0.0.1", NODE_NAME: "node1" };

/** The lines of the error that these variables cause, without its heading. */
function problems(variables: Record<string, string>): string[] {
  try {
    parseConfig(variables, FACTS);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    const [heading, ...lines] = error.message.split("\n");
    assert.equal(heading, "Cannot use these settings:");
    assert.deepEqual(lines, error.problems.map((problem) => `  ${problem}`));
    return [...error.problems];
  }
  return [];
}

const LIST =
  "a comma-separated list of cpu_sched, tcp, oom, page_faults, syscall, disk, interface, filesystem, " +
  "cpu, memory, pressure and pids";
const URL_FORM = "an https:// or http:// URL without user, query and fragment";
const ADDRESS_FORM = "host:port, such as 0.0.0.0:9090, [::]:9090 or :9090";
const NAMESPACES_FORM = "a comma-separated list of namespaces";
const SELECTOR_FORM = "a label selector as kubectl's -l does";
const SYSCALLS_FORM = "a comma-separated list of system calls, 64 at most";

const REFUSED: readonly (readonly [variables: Record<string, string>, problem: string])[] = [
  [
    { KPOD_POLL_INTERVAL_MS: "abc" },
    'KPOD_POLL_INTERVAL_MS: got "abc", takes a whole number of milliseconds from 1000 to 600000',
  ],
  ...["999", "600001", "1e4", "5000.5", "-5000", "0x1388"].map((text) =>
    [
      { KPOD_POLL_INTERVAL_MS: text },
      `KPOD_POLL_INTERVAL_MS: got "${text}", takes a whole number of milliseconds from 1000 to 600000`,
    ] as const
  ),
  [
    { KPOD_BPF_MAX_CGROUPS: "0" },
    'KPOD_BPF_MAX_CGROUPS: got "0", takes a whole number of containers from 1 to 65536',
  ],
  [{ KPOD_BPF_ENABLED: "yes" }, 'KPOD_BPF_ENABLED: got "yes", takes true or false'],
  [{ KPOD_PROFILE: "all" }, 'KPOD_PROFILE: got "all", takes minimal, standard, comprehensive or custom'],
  [{ KPOD_PROFILE: "custom" }, `KPOD_COLLECTORS: not set, with KPOD_PROFILE=custom takes ${LIST}`],
  [
    { KPOD_PROFILE: "custom", KPOD_COLLECTORS: "tcp,net,io" },
    `KPOD_COLLECTORS: got "net", "io", takes ${LIST}`,
  ],
  [{ KPOD_PROFILE: "custom", KPOD_COLLECTORS: "," }, `KPOD_COLLECTORS: got ",", takes ${LIST}`],
  [
    { KPOD_COLLECTORS: "tcp" },
    'KPOD_COLLECTORS: got "tcp", takes effect with KPOD_PROFILE=custom only; set that, or unset this',
  ],
  [{ NODE_IP: "node1" }, 'NODE_IP: got "node1", takes an IP address'],
  [
    { NODE_IP: "" },
    "KPOD_KUBELET_URL: not set, and no NODE_IP to make it from; " +
    "set NODE_IP by the downward API (status.hostIP), or KPOD_KUBELET_URL",
  ],
  [{ KPOD_KUBELET_URL: "10.0.0.1:10250" }, `KPOD_KUBELET_URL: got "10.0.0.1:10250", takes ${URL_FORM}`],
  [{ KPOD_KUBELET_URL: "ftp://k" }, `KPOD_KUBELET_URL: got "ftp://k", takes ${URL_FORM}`],
  [{ KPOD_KUBELET_URL: "https://k/?a" }, `KPOD_KUBELET_URL: got "https://k/?a", takes ${URL_FORM}`],
  [{ KPOD_KUBELET_URL: "https://me:secret@k" }, `KPOD_KUBELET_URL: got "https://…@k", takes ${URL_FORM}`],
  ...["node_1!", "https://node1", "*.example", "[fd00::1]", "-a"].map((name) =>
    [
      { KPOD_KUBELET_SERVER_NAME: `node1,${name}` },
      `KPOD_KUBELET_SERVER_NAME: got "${name}", takes a comma-separated list of DNS names and IP addresses`,
    ] as const
  ),
  [
    { KPOD_KUBELET_CA_FILE: " , " },
    'KPOD_KUBELET_CA_FILE: got ",", takes a comma-separated list of paths',
  ],
  [{ KPOD_KUBELET_INSECURE_TLS: "1" }, 'KPOD_KUBELET_INSECURE_TLS: got "1", takes true or false'],
  [
    { KPOD_KUBELET_CERT_FILE: "/c" },
    'KPOD_KUBELET_CERT_FILE: got "/c" alone, takes effect with KPOD_KUBELET_KEY_FILE only; set both or neither',
  ],
  [
    { KPOD_KUBELET_KEY_FILE: "/k" },
    'KPOD_KUBELET_KEY_FILE: got "/k" alone, takes effect with KPOD_KUBELET_CERT_FILE only; set both or neither',
  ],
  ...["KPOD_KUBELET_CA_FILE", "KPOD_KUBELET_SERVER_NAME"].map((name) =>
    [
      { KPOD_KUBELET_URL: "http://k", [name]: "a" },
      `${name}: got "a", takes effect with an https:// KPOD_KUBELET_URL only; unset it`,
    ] as const
  ),
  [
    { KPOD_KUBELET_URL: "HTTP://k", KPOD_KUBELET_TOKEN_FILE: "/t" },
    'KPOD_KUBELET_TOKEN_FILE: got "/t", takes effect with an https:// KPOD_KUBELET_URL only; unset it',
  ],
  [
    { KPOD_SYSCALL_TRACKED: "read,opnat" },
    `KPOD_SYSCALL_TRACKED: got "opnat", takes ${SYSCALLS_FORM}; did you mean openat?`,
  ],
  [
    { KPOD_SYSCALL_TRACKED: "READ,quux,clsoe" },
    `KPOD_SYSCALL_TRACKED: got "READ", "quux", "clsoe", takes ${SYSCALLS_FORM}; did you mean read, close?`,
  ],
  ...["kube-*", "Shop", "shop.example", "-shop", "shop-", "a".repeat(64)].map((name) =>
    [
      { KPOD_FILTER_NAMESPACES: `${name},dev` },
      `KPOD_FILTER_NAMESPACES: got "${name}", takes ${NAMESPACES_FORM}`,
    ] as const
  ),
  [{ KPOD_FILTER_NAMESPACES: "," }, `KPOD_FILTER_NAMESPACES: got ",", takes ${NAMESPACES_FORM}`],
  [
    { KPOD_FILTER_EXCLUDE_NAMESPACES: "None" },
    `KPOD_FILTER_EXCLUDE_NAMESPACES: got "None", takes ${NAMESPACES_FORM}, or none`,
  ],
  [
    { KPOD_FILTER_EXCLUDE_NAMESPACES: "," },
    `KPOD_FILTER_EXCLUDE_NAMESPACES: got ",", takes ${NAMESPACES_FORM}, or none`,
  ],
  [
    { KPOD_FILTER_LABEL_SELECTOR: " app=web,tier in front " },
    `KPOD_FILTER_LABEL_SELECTOR: got "app=web,tier in front", takes ${SELECTOR_FORM}; ` +
    'at position 17: expected "(", got "front"',
  ],
  [{ KPOD_CGROUP_ROOT: "sys/fs/cgroup" }, 'KPOD_CGROUP_ROOT: got "sys/fs/cgroup", takes an absolute path'],
  ...[
    "9090",
    "::1:9090",
    "[::1]",
    "[1.2.3.4]:1",
    "1.2.3:1",
    "300.1.1.1:1",
    "host:65536",
    "host:-1",
    "a b:1",
    "http://h:1",
  ]
    .map((text) =>
      [{ KPOD_LISTEN_ADDRESS: text }, `KPOD_LISTEN_ADDRESS: got "${text}", takes ${ADDRESS_FORM}`] as const
    ),
  [{ KPOD_LOG_LEVEL: "INFO" }, 'KPOD_LOG_LEVEL: got "INFO", takes debug, info, warn or error'],
  [{ KPOD_PROFIL: "minimal" }, "KPOD_PROFIL: no such variable; did you mean KPOD_PROFILE?"],
  [{ KPOD_POLL_INTERVAL: "1" }, "KPOD_POLL_INTERVAL: no such variable; did you mean KPOD_POLL_INTERVAL_MS?"],
  [{ KPOD_LISTEN: ":1" }, "KPOD_LISTEN: no such variable; did you mean KPOD_LISTEN_ADDRESS?"],
  [{ KPOD_QUUX: "1" }, "KPOD_QUUX: no such variable"],
  [{ KPOD_METRICS_PORT: "9090" }, "KPOD_METRICS_PORT: no such variable"],
];

for (const [variables, problem] of REFUSED) {
  Deno.test(`${JSON.stringify(variables)} is refused in words that say what to do`, () => {
    assert.deepEqual(problems({ ...NODE, ...variables }), [problem]);
  });
}

Deno.test("everything that is wrong is told at once", () => {
  const lines = problems({
    KPOD_PROFILE: "standart",
    KPOD_COLLECTORS: "net",
    KPOD_POLL_INTERVAL_MS: "0",
    KPOD_KUBELET_CERT_FILE: "/c",
    KPOD_LOG: "debug",
    NODE_IP: "no",
  });
  assert.deepEqual(lines.map((line) => line.split(":")[0]).toSorted(), [
    "KPOD_COLLECTORS",
    "KPOD_KUBELET_CERT_FILE",
    "KPOD_LOG",
    "KPOD_POLL_INTERVAL_MS",
    "KPOD_PROFILE",
    "NODE_IP",
  ]);
});

for (const [count, refused] of [[64, false], [65, true]] as const) {
  Deno.test(`${count} system calls are ${refused ? "refused, and the message stays short" : "accepted"}`, () => {
    const names = [...SYSCALL_NAMES].slice(0, count).join(",");
    const [problem, ...others] = problems({ ...NODE, KPOD_SYSCALL_TRACKED: names });
    assert.deepEqual(others, []);
    assert.equal(problem !== undefined, refused);
    if (problem !== undefined) {
      assert.match(problem, /^KPOD_SYSCALL_TRACKED: got "read,.{95}…", takes .*64 at most$/);
    }
  });
}

Deno.test("what Kubernetes sets for a Service called kpod-metrics is no mistake", () => {
  assert.deepEqual(
    problems({
      ...NODE,
      KPOD_METRICS_SERVICE_HOST: "10.96.0.7",
      KPOD_METRICS_SERVICE_PORT: "9090",
      KPOD_METRICS_SERVICE_PORT_HTTP: "9090",
      KPOD_METRICS_PORT: "tcp://10.96.0.7:9090",
      KPOD_METRICS_PORT_9090_TCP: "tcp://10.96.0.7:9090",
      KPOD_METRICS_PORT_9090_TCP_PROTO: "tcp",
      KPOD_METRICS_PORT_9090_TCP_PORT: "9090",
      KPOD_METRICS_PORT_9090_TCP_ADDR: "10.96.0.7",
    }),
    [],
  );
});
