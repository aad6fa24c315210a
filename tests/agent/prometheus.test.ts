/** The numbers as a real Prometheus has them. */
import assert from "node:assert/strict";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import { AgentProcess, type Labels, SHORT_INTERVALS } from "./agent.ts";
import { isOnPath, Prometheus } from "./prometheus.ts";
import { SteadyLoad } from "./steady_load.ts";

const LOAD_MS = 10_000;
const RATE_SECONDS = 8;

/**
 * rate() stretches what lies between the first and the last sample of its range, up to a second less at each end,
 * over all of it; and a scrape may be served counts of up to a second before.
 */
const RATE_TOLERANCE = 2 / RATE_SECONDS;

const needsPrometheus = { ignore: needsPrograms.ignore || !isOnPath("prometheus") };

Deno.test("what Prometheus makes of a known load is that load", needsPrometheus, async () => {
  await using node = await LabNode.start();
  using load = await SteadyLoad.start(node);
  await using agent = await AgentProcess.ready({
    ...node.agentEnvironment(),
    ...SHORT_INTERVALS,
    KPOD_PROFILE: "comprehensive",
  });
  await using prometheus = await Prometheus.start(new URL(agent.url).host);
  /** Waits until a scrape shows all that has happened by now; returns its time. */
  const shown = async () => {
    await agent.fresh();
    await prometheus.scraped();
    return Date.now();
  };
  assert.deepEqual(
    (await agent.scrape()).find("kpod_bpf_program_info", { state: "unavailable" }),
    [],
    agent.log,
  );
  const began = await shown();
  await load.run(LOAD_MS);
  const ended = await shown();
  load.assertReported();

  for (const account of load.accounts) {
    const selector = `${account.series}${braces(account.labels)}`;
    // A series that was not there yet when the load began has grown from nothing.
    const before = `(${selector} @ ${began / 1_000} or ${selector} * 0)`;
    const increase = await prometheus.number(`${selector} - ${before}`, ended);
    assertNear(`increase of ${selector}`, increase, account.count, account.tolerance);
    assert.ok(account.count > 0, `the load made no ${account.series}`);
    if (!account.isSteady) continue;
    const until = load.steadyUntil;
    const rate = await prometheus.number(`rate(${selector}[${RATE_SECONDS}s])`, until);
    const made = load.growth(account, until - RATE_SECONDS * 1_000, until) / RATE_SECONDS;
    assertNear(`rate of ${selector}`, rate, made, RATE_TOLERANCE);
  }

  const [sum, count] = await Promise.all(
    ["sum", "count"].map((part) =>
      prometheus.number(
        `increase(kpod_net_tcp_rtt_seconds_${part}${braces({ pod: "web", container: "client" })}[1m])`,
      )
    ),
  );
  const mean = (sum ?? NaN) / (count ?? NaN);
  assert.ok(
    mean >= Math.min(...load.roundTrips) && mean <= 2 * Math.max(...load.roundTrips),
    `RTT of ${mean} s`,
  );

  const quantile = (q: number, pod: string) =>
    prometheus.number(
      `histogram_quantile(${q}, sum by (le) (rate(kpod_cpu_runqueue_latency_seconds_bucket{pod="${pod}"}[1m])))`,
    );
  const [median, most] = [await quantile(0.5, "busy"), await quantile(0.99, "busy")];
  assert.ok(median > 0 && median <= most && most < 1, `run-queue latency ${median} s, at most ${most} s`);
});

function braces(labels: Labels): string {
  return `{${Object.entries(labels).map(([name, value]) => `${name}="${value}"`).join(",")}}`;
}

function assertNear(what: string, actual: number, expected: number, tolerance: number): void {
  const off = Math.abs(actual - expected);
  // Prometheus stores floats; sums of them are not exact.
  assert.ok(off <= expected * tolerance + 1e-9, `${what} is ${actual}, the load made ${expected}`);
}
