import assert from "node:assert/strict";
import { Discovery } from "../../src/discovery/discovery.ts";
import { KubeletError } from "../../src/discovery/kubelet.ts";
import type { PodList } from "../../src/discovery/pod_list.ts";
import type { LogFields, Logger } from "../../src/log.ts";
import { readPods, readPodsText } from "../pods.ts";

/** A clock that stands still until told, with the timers that hang on it, and the time of day. */
class FakeClock {
  time = 1_000_000;
  /** What the date is ahead of the time, in milliseconds. */
  ahead = 0;
  /** What retries are spread by. */
  random = 0;
  #timers: { at: number; callback: () => void }[] = [];

  readonly now = () => this.time;

  readonly schedule = (callback: () => void, ms: number) => {
    const timer = { at: this.time + ms, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  get date(): number {
    return this.time + this.ahead;
  }

  get pending(): number {
    return this.#timers.length;
  }

  /** Lets `ms` pass: each timer due runs at its time, and what it sets off is given its turns. */
  async pass(ms: number) {
    const until = this.time + ms;
    await settle();
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.time = next.at;
      next.callback();
      await settle();
    }
    this.time = until;
  }
}

async function settle() {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

type Line = { level: string; message: string; fields: LogFields | undefined };

/** A kubelet whose answers a test sets, and a discovery that asks it. */
function setUp(intervalMs = 30_000) {
  const clock = new FakeClock();
  const lines: Line[] = [];
  const log = (level: string) => (message: string, fields?: LogFields) =>
    void lines.push({ level, message, fields });
  const logger: Logger = { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
  const kubelet = {
    answer: (): Promise<PodList> => Promise.resolve(podList("web")),
    /** When it was asked, in milliseconds since the beginning. */
    polls: [] as number[],
  };
  const begin = clock.time;
  const discovery = new Discovery(() => {
    kubelet.polls.push(clock.time - begin);
    return kubelet.answer();
  }, {
    intervalMs,
    log: logger,
    now: clock.now,
    date: () => clock.date,
    schedule: clock.schedule,
    random: () => clock.random,
  });
  const loud = () =>
    lines.filter(({ level }) => level !== "debug").map(({ level, message }) => `${level} ${message}`);
  return { clock, kubelet, discovery, lines, loud };
}

const podList = (...names: string[]) =>
  readPods({
    kind: "PodList",
    items: names.map((name) => ({ metadata: { uid: `uid-${name}`, namespace: "shop", name } })),
  });

const refuse = () => Promise.reject(new KubeletError("connect", "Cannot list pods: refused"));

Deno.test("nothing is known, asked or planned before the start, and every reason counts from zero", () => {
  const { discovery, kubelet, clock } = setUp();
  assert.deepEqual(discovery.state.pods, []);
  assert.equal(discovery.state.lastSuccess, undefined);
  assert.equal(discovery.state.generation, 0);
  assert.ok(
    ["connect", "tls", "body", "malformed_pod"].every((reason) => discovery.state.errors.get(reason) === 0),
  );
  assert.deepEqual([kubelet.polls.length, clock.pending], [0, 0]);
});

Deno.test("the start polls at once, and then every interval, however often it is asked for", async () => {
  const { discovery, kubelet, clock } = setUp();
  discovery.start();
  discovery.start();
  await clock.pass(70_000);
  assert.deepEqual(kubelet.polls, [0, 30_000, 60_000]);
  assert.equal(discovery.state.generation, 3);
  assert.equal(discovery.state.lastSuccess, 1_060_000);
  await discovery.stop();
});

Deno.test("a slow answer does not put the next poll off", async () => {
  const { discovery, kubelet, clock } = setUp();
  kubelet.answer = () => new Promise((resolve) => clock.schedule(() => resolve(podList()), 4_000));
  discovery.start();
  await clock.pass(65_000);
  assert.deepEqual(kubelet.polls, [0, 30_000, 60_000]);
  await discovery.stop();
});

Deno.test("a kubelet that fails is asked after 1 s, 2 s, 4 s and so on up to the interval, always anew", async () => {
  const { discovery, kubelet, clock } = setUp(10_000);
  kubelet.answer = refuse;
  discovery.start();
  await clock.pass(36_000);
  assert.deepEqual(kubelet.polls, [0, 1_000, 3_000, 7_000, 15_000, 25_000, 35_000]);
  kubelet.answer = () => Promise.resolve(podList("web"));
  await clock.pass(10_000);
  kubelet.answer = refuse;
  await clock.pass(20_000);
  assert.deepEqual(kubelet.polls.slice(7), [45_000, 55_000, 56_000, 58_000, 62_000]);
  await discovery.stop();
});

Deno.test("retries are spread over the second half of their time", async () => {
  const { discovery, kubelet, clock } = setUp(10_000);
  kubelet.answer = refuse;
  clock.random = 0.5;
  discovery.start();
  await clock.pass(10_000);
  clock.random = 0.999;
  await clock.pass(13_000);
  assert.deepEqual(kubelet.polls, [0, 750, 2_250, 5_250, 11_250, 16_255, 21_260]);
  await discovery.stop();
});

Deno.test("a kubelet that asks to be left alone is, whatever cgroup has no name", async () => {
  const { discovery, kubelet, clock } = setUp(10_000);
  kubelet.answer = () => Promise.reject(new KubeletError("http", "busy", { retryAfterMs: 30_000 }));
  discovery.start();
  await clock.pass(100);
  kubelet.answer = () => Promise.resolve(podList("web"));
  for (let second = 0; second < 45; second++) {
    discovery.pollEarly();
    await clock.pass(1_000);
  }
  assert.deepEqual(kubelet.polls.slice(0, 3), [0, 30_000, 31_000]);
  await discovery.stop();
});

Deno.test("an early poll that fails is tried again as a regular one is", async () => {
  const { discovery, kubelet, clock } = setUp();
  discovery.start();
  await clock.pass(5_000);
  kubelet.answer = refuse;
  discovery.pollEarly();
  await clock.pass(3_500);
  kubelet.answer = () => Promise.resolve(podList("web"));
  await clock.pass(40_000);
  assert.deepEqual(kubelet.polls, [0, 5_000, 6_000, 8_000, 12_000, 42_000]);
  await discovery.stop();
});

Deno.test("the last good list is kept while the kubelet fails", async () => {
  const { discovery, kubelet } = setUp();
  assert.equal(await discovery.poll(), true);
  const before = discovery.state;
  kubelet.answer = refuse;
  assert.equal(await discovery.poll(), false);
  assert.deepEqual(discovery.state.pods.map(({ name }) => name), ["web"]);
  assert.deepEqual([discovery.state.generation, discovery.state.lastSuccess], [1, before.lastSuccess]);
  assert.equal(discovery.state.errors.get("connect"), 1);
  assert.equal(before.errors.get("connect"), 0, "a state once given out stays as it was");
});

Deno.test("what a restarted kubelet lists is taken as it is given: all, none, some, all", async () => {
  const { discovery, kubelet } = setUp();
  const fixtures = `${import.meta.dirname}/../fixtures/kubelet-1.36/systemd/seq-kubelet-restart`;
  const counts = [];
  for (const file of ["001-t425.09", "004-t427.69", "005-t439.73", "006-t440.43"]) {
    const body = await Deno.readTextFile(`${fixtures}/${file}-200.json`);
    kubelet.answer = () => Promise.resolve(readPodsText(body));
    assert.equal(await discovery.poll(), true);
    counts.push(discovery.state.pods.length);
  }
  assert.deepEqual(counts, [10, 0, 4, 10]);
});

const FAILURES: readonly (readonly [what: string, reason: string, answer: () => Promise<PodList>])[] = [
  ["the client's error", "timeout", () => Promise.reject(new KubeletError("timeout", "late"))],
  ["any other error", "internal", () => Promise.reject(new TypeError("a slip"))],
  ["an error before any wait", "internal", () => {
    throw new TypeError("a slip");
  }],
];

for (const [what, reason, answer] of FAILURES) {
  Deno.test(`a poll that fails returns false and counts its reason: ${what}`, async () => {
    const { discovery, kubelet } = setUp();
    kubelet.answer = answer;
    assert.equal(await discovery.poll(), false);
    assert.equal(discovery.state.errors.get(reason), 1);
    assert.equal([...discovery.state.errors.values()].reduce((sum, count) => sum + count), 1);
  });
}

Deno.test("malformed pods are counted at every poll, logged once, and the rest are taken", async () => {
  const { discovery, kubelet, loud, lines } = setUp();
  const malformed = ["shop/odd", "items[2]"].map((pod) => ({ pod, problem: "metadata.uid: missing" }));
  const broken = { ...podList("web"), malformed };
  kubelet.answer = () => Promise.resolve(broken);
  await discovery.poll();
  await discovery.poll();
  assert.deepEqual(discovery.state.pods.map(({ name }) => name), ["web"]);
  assert.equal(discovery.state.malformed, 2);
  assert.equal(discovery.state.errors.get("malformed_pod"), 4);
  kubelet.answer = () => Promise.resolve(podList("web"));
  await discovery.poll();
  assert.equal(discovery.state.malformed, 0);
  assert.deepEqual(loud(), [
    "info The kubelet answers",
    "warn Some pods cannot be read and are left out",
    "info All pods can be read again",
  ]);
  assert.equal(lines.find(({ level }) => level === "warn")?.fields?.pod, "shop/odd");
});

Deno.test("an outage is logged when it begins, every five minutes, and when it is over", async () => {
  const { discovery, kubelet, clock, loud, lines } = setUp(10_000);
  discovery.start();
  await clock.pass(5_000);
  kubelet.answer = refuse;
  await clock.pass(615_000);
  kubelet.answer = () => Promise.resolve(podList("web"));
  await clock.pass(60_000);
  const warning = "warn Cannot list pods: refused";
  assert.deepEqual(loud(), [
    "info The kubelet answers",
    warning,
    warning,
    warning,
    "info The kubelet answers, after failed polls",
  ]);
  // At 10, 11, 13, 17 and 25 s, and then every 10 s.
  assert.deepEqual(lines.at(-1)?.fields, { seconds: 615, times: 64 });
  await discovery.stop();
});

Deno.test("concurrent polls share one request", async () => {
  const { discovery, kubelet } = setUp();
  assert.deepEqual(await Promise.all([discovery.poll(), discovery.poll()]), [true, true]);
  assert.equal(kubelet.polls.length, 1);
  await discovery.poll();
  assert.equal(kubelet.polls.length, 2);
});

Deno.test("early polls begin at least a second after the start of any other", async () => {
  const { discovery, kubelet, clock } = setUp();
  discovery.start();
  await clock.pass(300);
  for (let i = 0; i < 5; i++) discovery.pollEarly();
  await clock.pass(400);
  discovery.pollEarly();
  assert.deepEqual(kubelet.polls, [0], "a second is not over");
  await clock.pass(300);
  assert.deepEqual(kubelet.polls, [0, 1_000], "one for all that asked");
  await clock.pass(4_000);
  discovery.pollEarly();
  assert.deepEqual(kubelet.polls, [0, 1_000, 5_000], "at once after a pause");
  await clock.pass(26_000);
  assert.deepEqual(kubelet.polls, [0, 1_000, 5_000, 30_000], "regular polls go on as they were");
  await discovery.stop();
});

for (const hours of [-1, 1]) {
  Deno.test(`a clock that is set by ${hours} h moves no poll; the date of the last answer is the new one`, async () => {
    const { discovery, kubelet, clock } = setUp();
    discovery.start();
    await clock.pass(10_000);
    clock.ahead = hours * 3_600_000;
    discovery.pollEarly();
    await clock.pass(25_000);
    assert.deepEqual(kubelet.polls, [0, 10_000, 30_000]);
    assert.equal(discovery.state.lastSuccess, 1_030_000 + clock.ahead);
    assert.equal(discovery.state.answeredAt, 1_030_000);
    await discovery.stop();
  });
}

Deno.test("the stop breaks off a poll under way, counts and logs nothing of it, and leaves no timer", async () => {
  const { clock, lines } = setUp();
  const log = (message: string) => void lines.push({ level: "any", message, fields: undefined });
  const discovery = new Discovery(
    (signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("broken off")))),
    {
      intervalMs: 1_000,
      log: { debug: log, info: log, warn: log, error: log },
      now: clock.now,
      schedule: clock.schedule,
    },
  );
  discovery.start();
  discovery.pollEarly();
  await settle();
  assert.equal(clock.pending, 1, "the early poll is planned");
  await discovery.stop();
  await settle();
  discovery.pollEarly();
  assert.equal(await discovery.poll(), false);
  assert.equal(clock.pending, 0);
  assert.deepEqual(lines, []);
  assert.ok([...discovery.state.errors.values()].every((count) => count === 0));
});
