/** The test itself: installs the agent as an operator would, puts load on the cluster, and checks what comes of it. */
import { PROFILES } from "../../src/profiles.ts";
import {
  AGENT,
  type AgentPod,
  agentPods,
  doctorProblems,
  logProblems,
  permissionProblems,
  podProblems,
  versionProblems,
} from "./checks.ts";
import { Interrupted, must, type Run } from "../commands.ts";
import { expositionProblems, type Served, unmovedProblems } from "./exposition_checks.ts";
import type { Report } from "./report.ts";

export interface Test {
  readonly run: Run;
  readonly report: Report;
  /** Directory of the manifests. */
  readonly manifests: string;
  /** As the cluster's nodes know it. */
  readonly image: string;
  /** Milliseconds of some clock. */
  readonly now: () => number;
  readonly pause: (milliseconds: number) => Promise<void>;
}

/** Namespace of the pods in manifests/stress. */
export const STRESS = "kpod-stress";

/** What those pods move in each profile; retransmits depend on the network. */
const MOVED = {
  standard: [
    "kpod_cpu_context_switches_total",
    "kpod_cpu_runqueue_latency_seconds",
    "kpod_net_tcp_bytes_sent_total",
    "kpod_net_tcp_bytes_received_total",
    "kpod_net_tcp_connections_total",
    "kpod_net_tcp_connect_failures_total",
    "kpod_mem_oom_kills_total",
    "kpod_cpu_throttled_periods_total",
    "kpod_cpu_usage_seconds_total",
    "kpod_mem_usage_bytes",
    "kpod_net_iface_rx_bytes_total",
    "kpod_fs_capacity_bytes",
    "kpod_pids_current",
  ],
  comprehensive: ["kpod_syscall_count_total", "kpod_syscall_latency_seconds"],
} as const;

type TestedProfile = keyof typeof MOVED;

/** How long the cluster may take for what has to happen. */
const ROLLOUT = "--timeout=300s";
const SETTLE_MS = 240_000;
const PAUSE_MS = 5_000;

/** A scrape through the API server and kubectl, its start included, takes less than this at best. */
const SCRAPE_MS = 1_000;
const SCRAPES = 5;

/** The preflight, as docs/install.md has it. */
const DOCTOR = "deno run --quiet --no-remote -P=agent --no-prompt mod.ts doctor --json".split(" ");

export async function testCluster(test: Test): Promise<void> {
  const { report, run } = test;
  const version = versionProblems(await must(run, "kubectl", ["version", "--output", "json"]));
  report.step("kubernetes", "a version that the manifests are for", version);
  if (version.length > 0) return;
  await install(test);
  await checkPermissions(test);
  await checkProfile(test, "standard");
  const patch = JSON.stringify({ data: { KPOD_PROFILE: "comprehensive" } });
  await kubectl(test, "patch", "configmap", AGENT, "--type", "merge", "--patch", patch);
  await kubectl(test, "rollout", "restart", `daemonset/${AGENT}`);
  await rollOut(test);
  await checkProfile(test, "comprehensive");
}

async function install(test: Test): Promise<void> {
  const { report, run, manifests, image } = test;
  report.begin("applying manifests/ and manifests/stress/");
  await must(run, "kubectl", ["apply", "-f", manifests]);
  await kubectl(test, "set", "image", `daemonset/${AGENT}`, `*=${image}`);
  await must(run, "kubectl", ["apply", "-f", `${manifests}/stress`]);
  await rollOut(test);
}

async function rollOut(test: Test): Promise<void> {
  await kubectl(test, "rollout", "status", `daemonset/${AGENT}`, ROLLOUT);
  test.report.step("rollout", "the DaemonSet is rolled out");
}

async function checkPermissions({ run, report }: Test): Promise<void> {
  const account = `system:serviceaccount:${AGENT}:${AGENT}`;
  const table = await must(run, "kubectl", ["auth", "can-i", "--list", "--as", account]);
  report.step("permissions", "get nodes/pods and nothing else", permissionProblems(table));
}

async function checkProfile(test: Test, profile: TestedProfile): Promise<void> {
  const { report } = test;
  const pods = await agents(test);
  await settle(test, `${profile}: pods`, "one agent a node, ready, never restarted", () => podsState(test));
  await settle(
    test,
    `${profile}: health`,
    "/healthz and /readyz of every agent",
    () => healthState(test, pods),
  );
  await settle(
    test,
    `${profile}: series`,
    "every family, no signal unavailable, each agent its own pods",
    async () => expositionProblems(await scrape(test, pods), PROFILES[profile]),
  );
  await settle(
    test,
    `${profile}: load`,
    `what ${STRESS} does is counted`,
    async () => unmovedProblems(await scrape(test, pods), STRESS, MOVED[profile]),
  );
  report.step(`${profile}: scrape`, `takes less than ${SCRAPE_MS} ms`, await scrapeTime(test, pods));
  const doctors = await perPod(pods, async ({ name }) => doctorProblems(await doctor(test, name)));
  report.step(`${profile}: doctor`, "all is well, and the kubelet's certificate is verified", doctors);
  const logs = await perPod(
    pods,
    async ({ name }) => logProblems(await kubectl(test, "logs", name, "--container", AGENT)),
  );
  report.step(`${profile}: logs`, "neither warnings nor errors", logs);
  report.step(`${profile}: restarts`, "none after all that", await podsState(test));
}

/** Looks until there is no problem left, or it has taken too long. */
async function settle(
  { report, now, pause }: Test,
  name: string,
  what: string,
  look: () => Promise<string[]>,
): Promise<void> {
  const deadline = now() + SETTLE_MS;
  for (;;) {
    const problems = await look().catch((error: Error) => {
      if (error instanceof Interrupted) throw error;
      return [error.message];
    });
    if (problems.length === 0 || now() > deadline) return report.step(name, what, problems);
    await pause(PAUSE_MS);
  }
}

async function agents(test: Test): Promise<AgentPod[]> {
  return agentPods(await podsJson(test));
}

async function podsState(test: Test): Promise<string[]> {
  const nodes = await must(test.run, "kubectl", ["get", "nodes", "--output", "json"]);
  return podProblems(await podsJson(test), nodes);
}

function podsJson(test: Test): Promise<string> {
  return kubectl(test, "get", "pods", "--selector", `app.kubernetes.io/name=${AGENT}`, "--output", "json");
}

async function healthState(test: Test, pods: readonly AgentPod[]): Promise<string[]> {
  return await perPod(pods, async ({ name }) => {
    const problems = [];
    for (const path of ["healthz", "readyz"]) {
      const { code, stderr } = await test.run("kubectl", ["get", "--raw", served(name, path)]);
      if (code !== 0) problems.push(`/${path}: ${stderr.trim()}`);
    }
    return problems;
  });
}

async function scrape(test: Test, pods: readonly AgentPod[]): Promise<Served[]> {
  const answers = [];
  for (const { name, node } of pods) {
    answers.push({
      node,
      text: await must(test.run, "kubectl", ["get", "--raw", served(name, "metrics")]),
    });
  }
  return answers;
}

/** The best of several: whatever else the machine does only adds to a time. */
async function scrapeTime(test: Test, pods: readonly AgentPod[]): Promise<string[]> {
  return await perPod(pods, async (pod) => {
    const times = [];
    for (let attempt = 0; attempt < SCRAPES; attempt++) {
      const began = test.now();
      await scrape(test, [pod]);
      times.push(test.now() - began);
    }
    const best = Math.min(...times);
    return best < SCRAPE_MS ? [] : [`the best of ${SCRAPES} scrapes took ${Math.round(best)} ms`];
  });
}

/** The findings, whatever the exit code. */
async function doctor(test: Test, pod: string): Promise<string> {
  const args = ["exec", pod, "--namespace", AGENT, "--container", AGENT, "--", ...DOCTOR];
  const { stdout, stderr } = await test.run("kubectl", args);
  if (stdout.trim() === "") throw new Error(`Cannot run the preflight in ${pod}: ${stderr.trim()}`);
  return stdout;
}

/** The problems of each pod, with the pod's node. */
async function perPod(
  pods: readonly AgentPod[],
  look: (pod: AgentPod) => Promise<readonly string[]>,
): Promise<string[]> {
  const problems = [];
  for (const pod of pods) problems.push(...(await look(pod)).map((problem) => `${pod.node}: ${problem}`));
  return problems;
}

function served(pod: string, path: string): string {
  return `/api/v1/namespaces/${AGENT}/pods/${pod}:9090/proxy/${path}`;
}

function kubectl({ run }: Test, ...args: readonly string[]): Promise<string> {
  return must(run, "kubectl", ["--namespace", AGENT, ...args]);
}

/** What shows why agents fail: their state, events and logs. */
export async function showAgents(run: Run, report: Report): Promise<void> {
  const selector = ["--selector", `app.kubernetes.io/name=${AGENT}`];
  for (
    const [title, args] of [
      ["pods", ["get", "pods", ...selector, "--output", "wide"]],
      ["description", ["describe", "pods", ...selector]],
      ["logs", ["logs", ...selector, "--all-containers", "--prefix", "--tail=100"]],
      ["logs before the last restart", ["logs", ...selector, "--all-containers", "--previous", "--tail=100"]],
    ] as const
  ) {
    const { stdout, stderr } = await run("kubectl", ["--namespace", AGENT, ...args]);
    report.detail(title, stdout.trim() === "" ? stderr : stdout);
  }
}
