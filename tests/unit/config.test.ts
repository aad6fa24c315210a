import assert from "node:assert/strict";
import { COLLECTORS, type Config, type Facts, parseConfig, PROFILES } from "../../src/config.ts";

const FACTS: Facts = { arch: "x86_64", programDirectory: "/app/bpf", hostname: "box" };
const NODE = { NODE_IP: "10.0.0.1", NODE_NAME: "node1" };
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

Deno.test("on a node with nothing set every value is its default", () => {
  const { settings: _, ...config } = parseConfig(NODE, FACTS);
  assert.deepEqual(config, {
    profile: "standard",
    collectors: [
      "cpu_sched",
      "tcp",
      "oom",
      "page_faults",
      "disk",
      "interface",
      "filesystem",
      "cpu",
      "memory",
      "pressure",
      "pids",
    ],
    pollIntervalMs: 30_000,
    nodeName: "node1",
    kubelet: {
      url: new URL("https://10.0.0.1:10250"),
      serverNames: ["10.0.0.1", "node1"],
      tokenFile: `${SERVICE_ACCOUNT}/token`,
      caFiles: [`${SERVICE_ACCOUNT}/ca.crt`],
      certFile: undefined,
      keyFile: undefined,
      insecureTls: false,
      timeoutMs: 5_000,
      pollIntervalMs: 30_000,
    },
    filter: { namespaces: [], excludeNamespaces: ["kube-system", "kube-public"], labelSelector: [] },
    bpf: { enabled: true, programDirectory: "/app/bpf", maxCgroups: 1_024 },
    syscalls: {
      tracked: [
        { name: "read", number: 0 },
        { name: "write", number: 1 },
        { name: "openat", number: 257 },
        { name: "close", number: 3 },
        { name: "connect", number: 42 },
        { name: "accept4", number: 288 },
        { name: "sendto", number: 44 },
        { name: "recvfrom", number: 45 },
        { name: "epoll_wait", number: 232 },
        { name: "futex", number: 202 },
      ],
      unavailable: [],
    },
    series: { maxPerPod: 10_000, max: 250_000 },
    histogramResolution: "coarse",
    cgroupRoot: "/sys/fs/cgroup",
    procRoot: "/proc",
    sysRoot: "/sys",
    listen: { hostname: "0.0.0.0", port: 9090 },
    webConfigFile: undefined,
    log: { level: "info", format: "json" },
  });
});

const ACCEPTED: readonly (readonly [
  variables: Record<string, string>,
  pick: (config: Config) => unknown,
  expected: unknown,
])[] = [
  [{ KPOD_PROFILE: "minimal" }, (config) => config.collectors, ["cpu_sched", "oom", "disk"]],
  [{ KPOD_PROFILE: "comprehensive" }, (config) => config.collectors, [...COLLECTORS]],
  [{ KPOD_PROFILE: "custom", KPOD_COLLECTORS: "syscall, tcp,tcp" }, (config) => config.collectors, [
    "tcp",
    "syscall",
  ]],
  [{ KPOD_POLL_INTERVAL_MS: "1000" }, (config) => config.pollIntervalMs, 1_000],
  [{ KPOD_POLL_INTERVAL_MS: "600000" }, (config) => config.pollIntervalMs, 600_000],
  [{ KPOD_POLL_INTERVAL_MS: " 5000\n" }, (config) => config.pollIntervalMs, 5_000],
  [{ KPOD_POLL_INTERVAL_MS: "" }, (config) => config.pollIntervalMs, 30_000],
  [{ KPOD_KUBELET_POLL_INTERVAL_SECONDS: "7" }, (config) => config.kubelet.pollIntervalMs, 7_000],
  [{ KPOD_KUBELET_TIMEOUT_MS: "100" }, (config) => config.kubelet.timeoutMs, 100],
  [{ NODE_NAME: "" }, (config) => config.nodeName, "box"],
  [{ NODE_IP: "fd00::1" }, (config) => config.kubelet.url.href, "https://[fd00::1]:10250/"],
  [{ NODE_IP: "fd00::1" }, (config) => config.kubelet.serverNames, ["fd00::1", "node1"]],
  [{ NODE_IP: "", KPOD_KUBELET_URL: "https://k:1/a" }, (config) => config.kubelet.url.href, "https://k:1/a"],
  [{ KPOD_KUBELET_URL: "https://kubelet:1" }, (config) => config.kubelet.serverNames, ["kubelet"]],
  [{ NODE_NAME: "" }, (config) => config.kubelet.serverNames, ["10.0.0.1"]],
  [{ NODE_NAME: "10.0.0.1" }, (config) => config.kubelet.serverNames, ["10.0.0.1"]],
  [{ KPOD_KUBELET_SERVER_NAME: "kubelet.local" }, (config) => config.kubelet.serverNames, ["kubelet.local"]],
  [{ KPOD_KUBELET_SERVER_NAME: "a, fd00::1,,a" }, (config) => config.kubelet.serverNames, ["a", "fd00::1"]],
  [{ KPOD_KUBELET_TOKEN_FILE: "/t" }, (config) => config.kubelet.tokenFile, "/t"],
  [{ KPOD_KUBELET_CA_FILE: "/ca" }, (config) => config.kubelet.caFiles, ["/ca"]],
  [{ KPOD_KUBELET_CA_FILE: "/a, b/c,,/a" }, (config) => config.kubelet.caFiles, ["/a", "b/c"]],
  [{ KPOD_KUBELET_INSECURE_TLS: "true" }, (config) => config.kubelet.insecureTls, true],
  [
    { KPOD_KUBELET_URL: "http://127.0.0.1:10255", KPOD_KUBELET_INSECURE_TLS: "true" },
    (config) => config.kubelet.insecureTls,
    true,
  ],
  [
    { KPOD_KUBELET_CERT_FILE: "/c", KPOD_KUBELET_KEY_FILE: "/k" },
    ({ kubelet: { certFile, keyFile, tokenFile, caFiles } }) => [certFile, keyFile, tokenFile, caFiles],
    ["/c", "/k", undefined, [`${SERVICE_ACCOUNT}/ca.crt`]],
  ],
  [
    { KPOD_KUBELET_CERT_FILE: "/c", KPOD_KUBELET_KEY_FILE: "/k", KPOD_KUBELET_TOKEN_FILE: "/t" },
    (config) => config.kubelet.tokenFile,
    "/t",
  ],
  [
    { KPOD_KUBELET_URL: "http://127.0.0.1:10255" },
    ({ kubelet: { tokenFile, caFiles, serverNames } }) => [tokenFile, caFiles, serverNames],
    [undefined, [], []],
  ],
  [{ KPOD_FILTER_NAMESPACES: "shop, kube-system,,shop" }, (config) => config.filter.namespaces, [
    "shop",
    "kube-system",
  ]],
  [{ KPOD_FILTER_NAMESPACES: "none" }, (config) => config.filter.namespaces, ["none"]],
  [{ KPOD_FILTER_EXCLUDE_NAMESPACES: "kube-system" }, (config) => config.filter.excludeNamespaces, [
    "kube-system",
  ]],
  [{ KPOD_FILTER_EXCLUDE_NAMESPACES: " none " }, (config) => config.filter.excludeNamespaces, []],
  [{ KPOD_FILTER_EXCLUDE_NAMESPACES: "none,dev" }, (config) => config.filter.excludeNamespaces, [
    "none",
    "dev",
  ]],
  [{ KPOD_FILTER_EXCLUDE_NAMESPACES: "" }, (config) => config.filter.excludeNamespaces, [
    "kube-system",
    "kube-public",
  ]],
  [{ KPOD_FILTER_LABEL_SELECTOR: "app in (a,b),!debug" }, (config) => config.filter.labelSelector, [
    { key: "app", operator: "In", values: ["a", "b"] },
    { key: "debug", operator: "DoesNotExist", values: [] },
  ]],
  [{ KPOD_BPF_ENABLED: "false" }, (config) => config.bpf.enabled, false],
  [{ KPOD_BPF_PROGRAM_DIR: "bpf" }, (config) => config.bpf.programDirectory, "bpf"],
  [{ KPOD_BPF_MAX_CGROUPS: "65536" }, (config) => config.bpf.maxCgroups, 65_536],
  [{ KPOD_SYSCALL_TRACKED: "mmap,read, mmap" }, (config) => config.syscalls.tracked, [
    { name: "mmap", number: 9 },
    { name: "read", number: 0 },
  ]],
  [{ KPOD_MAX_SERIES_PER_POD: "100" }, (config) => config.series.maxPerPod, 100],
  [{ KPOD_MAX_SERIES: "1000" }, (config) => config.series.max, 1_000],
  [{ KPOD_HISTOGRAM_RESOLUTION: "fine" }, (config) => config.histogramResolution, "fine"],
  [{ KPOD_CGROUP_ROOT: "/host/cgroup" }, (config) => config.cgroupRoot, "/host/cgroup"],
  [{ KPOD_LISTEN_ADDRESS: "[::]:9090" }, (config) => config.listen, { hostname: "::", port: 9090 }],
  [{ KPOD_LISTEN_ADDRESS: ":8080" }, (config) => config.listen, { hostname: "0.0.0.0", port: 8080 }],
  [{ KPOD_WEB_CONFIG_FILE: "/etc/web.yml" }, (config) => config.webConfigFile, "/etc/web.yml"],
  [{ KPOD_LISTEN_ADDRESS: "localhost:0" }, (config) => config.listen, { hostname: "localhost", port: 0 }],
  [{ KPOD_LOG_LEVEL: "debug", KPOD_LOG_FORMAT: "text" }, (config) => config.log, {
    level: "debug",
    format: "text",
  }],
];

for (const [variables, pick, expected] of ACCEPTED) {
  Deno.test(`${JSON.stringify(variables)} gives ${JSON.stringify(expected)}`, () => {
    assert.deepEqual(pick(parseConfig({ ...NODE, ...variables }, FACTS)), expected);
  });
}

Deno.test("a system call that only the other architecture has is left out and remembered", () => {
  const { syscalls } = parseConfig({ ...NODE, KPOD_SYSCALL_TRACKED: "epoll_wait,read,open" }, {
    ...FACTS,
    arch: "aarch64",
  });
  assert.deepEqual(syscalls, {
    tracked: [{ name: "read", number: 63 }],
    unavailable: ["epoll_wait", "open"],
  });
});

Deno.test("variables come as a map too, and those of others are passed over", () => {
  const config = parseConfig(new Map([["NODE_IP", "10.0.0.2"], ["PATH", "/bin"], ["KPOD_", ""]]), FACTS);
  assert.equal(config.kubelet.url.hostname, "10.0.0.2");
});

Deno.test("nothing in the settings can be changed", () => {
  const { kubelet, filter, syscalls, listen, ...rest } = parseConfig(
    { ...NODE, KPOD_FILTER_LABEL_SELECTOR: "app=web" },
    FACTS,
  );
  const { labelSelector: [requirement] } = filter;
  assert.ok(requirement);
  for (
    const part of [
      kubelet,
      filter,
      filter.excludeNamespaces,
      requirement,
      requirement.values,
      syscalls,
      syscalls.tracked,
      syscalls.tracked[0],
      listen,
      rest.collectors,
    ]
  ) {
    assert.ok(Object.isFrozen(part));
  }
  assert.ok(Object.isFrozen(parseConfig(NODE, FACTS)));
});

Deno.test("profiles only add to one another", () => {
  const { minimal, standard, comprehensive } = PROFILES;
  assert.deepEqual(standard.slice(0, minimal.length), [...minimal]);
  assert.deepEqual(comprehensive.slice(0, standard.length), [...standard]);
  assert.deepEqual(comprehensive.toSorted(), COLLECTORS.toSorted());
});
