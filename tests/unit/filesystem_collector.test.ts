/** Filesystem gauges over stand-ins for processes, mounts and filesystems that answer, do not, or do so late. */
import assert from "node:assert/strict";
import type { FakeFilesystem } from "./fake_host.ts";
import { processCycle } from "./fake_proc.ts";
import { DATA, NONE, ROOT, setUp, SYS_PTRACE, WAIT_MS } from "./filesystem_setup.ts";
import { kernelFile, PROCESSES } from "./kernel_files.ts";

const PAUSE = 0;

const FILES = ["/etc/hosts", "/dev/termination-log", "/etc/hostname", "/etc/resolv.conf"];
const REAL: readonly [process: keyof typeof PROCESSES, shown: string[], asked: number][] = [
  ["writer", ["/", "/data", "/dev", "/dev/shm", "/mem"], 6],
  // Only files of the node's own filesystem are mounted here.
  ["hostNetwork", ["/", "/dev", "/dev/shm"], 3],
];

for (const [process, shown, asked] of REAL) {
  Deno.test(`a real container's filesystems are shown as df shows them, and files for none: ${process}`, async () => {
    const { host, collect } = setUp();
    host.mountinfo(7, kernelFile(PROCESSES[process], "mountinfo"));
    host.files = FILES;
    host.set("/proc/acpi", { blocks: 0 });
    const expected = shown.map((path) => `main ${path} 1000 700 250`);
    assert.deepEqual(await collect(), expected);
    for (let cycle = 0; cycle < 3; cycle++) {
      const before = host.asked.length;
      assert.deepEqual(await collect(), expected);
      assert.equal(host.asked.length - before, asked, "what is a file is not asked again");
    }
  });
}

const LEFT_OUT: readonly [what: string, filesystem: FakeFilesystem][] = [
  ["without a size", { blocks: 0 }],
  ["that is unmounted meanwhile, so that its path leads elsewhere", { mountId: 1 }],
  ["whose daemon has died", { error: 107 }],
  ["of a process that ends meanwhile", { error: 2 }],
];

for (const [what, filesystem] of LEFT_OUT) {
  Deno.test(`a filesystem ${what} is left out, without a word`, async () => {
    const { host, lines, collect } = setUp();
    host.mounts(7, [ROOT, "2 1 0:2 / /mnt rw - nfs4 server:/ rw"]);
    host.set("/mnt", filesystem);
    assert.deepEqual(await collect(), ["main / 1000 700 250"]);
    assert.deepEqual(lines, []);
  });
}

Deno.test("a filesystem out of reach is left out, told once with the capability, and shown when it can be", async () => {
  const { host, lines, collect } = setUp({ one: 7, two: 8 });
  const home = "2 1 0:2 / /home/user/cache rw - tmpfs tmpfs rw";
  for (const pid of [7, 8]) host.mounts(pid, [`1 0 0:${pid} / / rw - overlay overlay rw`, home]);
  host.set("/home/user/cache", { error: 13 });
  const rest = ["one / 1000 700 250", "two / 1000 700 250"];
  for (let cycle = 0; cycle < 3; cycle++) assert.deepEqual(await collect(), rest);
  const told =
    /^info filesystem is left out: .* CAP_DAC_READ_SEARCH .* n p (one|two) \/home\/user\/cache tmpfs$/;
  assert.equal(lines.length, 1, lines.join("\n"));
  assert.match(lines[0] ?? "", told);
  host.release("/home/user/cache");
  assert.equal((await collect()).length, 4);
  host.set("/home/user/cache", { error: 13 });
  await collect();
  assert.equal(lines.length, 2, "it is news again");
  for (const pid of [7, 8]) host.mounts(pid, [ROOT]);
  await collect();
  for (const pid of [7, 8]) host.mounts(pid, [ROOT, home]);
  await collect();
  assert.equal(lines.length, 3, "another one may be mounted there");
});

Deno.test("a file that is mounted makes way for a directory of its filesystem", async () => {
  const { host, collect } = setUp();
  host.mounts(7, [
    "2 1 8:1 /pod/hosts /a rw - ext4 /dev/x rw",
    "3 1 8:1 /pod/volume /longer rw - ext4 /dev/x rw",
  ]);
  host.files = ["/a"];
  assert.deepEqual(await collect(), ["main /longer 1000 700 250"]);
});

Deno.test("containers share the answer for the same part of a filesystem, not for another part", async () => {
  const { host, collect } = setUp({ one: 7, two: 8, other: 9 });
  for (const pid of [7, 8]) host.mounts(pid, [`${pid} 1 8:1 /volume /${pid} rw - xfs /dev/x rw,prjquota`]);
  host.mounts(9, ["9 1 8:1 /project /9 rw - xfs /dev/x rw,prjquota"]);
  host.set("/9", { blocks: 10 });
  assert.deepEqual(await collect(), [
    "one /7 1000 700 250",
    "other /9 10 7 2.5",
    "two /8 1000 700 250",
  ]);
  assert.deepEqual(host.asked.toSorted(), ["/7", "/9"]);
});

Deno.test("of two instances of a container the newer one with a process counts", async () => {
  const { host, proc, cycle, collect } = setUp();
  host.mounts(7, ["1 0 0:1 / /old rw - overlay overlay rw"]);
  host.mounts(8, ["1 0 0:2 / /new rw - overlay overlay rw"]);
  const [instance] = cycle.targets.live();
  assert.ok(instance);
  proc.put("/old", 7);
  proc.put("/new", 8);
  const live = [[5n, "old"], [6n, "new"], [9n, "newest"]] as const;
  const overlap = processCycle(live.map(([id, path]) => ({ ...instance, id, path })), [9n]);
  assert.deepEqual(await collect(overlap), ["main /new 1000 700 250"]);
});

Deno.test("sandboxes and processes that have ended are passed over", async () => {
  const { host, cycle, collect } = setUp({ main: 6 });
  const live = cycle.targets.live().map((each) => ({ ...each, target: undefined }));
  host.mounts(6, [ROOT]);
  assert.deepEqual(await collect(processCycle(live)), []);
  host.forget(6);
  assert.deepEqual(await collect(), []);
});

const REMEDIES = [
  [NONE, "without", "grant CAP_SYS_PTRACE"],
  [SYS_PTRACE, "with", "CAP_SYS_PTRACE is there, so a security module such as AppArmor forbids it"],
] as const;

for (const [capabilities, how, remedy] of REMEDIES) {
  Deno.test(`processes that may not be looked at ${how} the capability are told once, and others are shown`, async () => {
    const { host, lines, collect } = setUp({ one: 7, two: 8, three: 9 }, capabilities);
    for (const pid of [7, 8, 9]) host.mounts(pid, [`1 0 0:${pid} / / rw - overlay overlay rw`]);
    host.deny(7, 8);
    for (let cycle = 0; cycle < 3; cycle++) assert.deepEqual(await collect(), ["three / 1000 700 250"]);
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.ok(lines[0]?.startsWith("warn ") && lines[0].includes(`; ${remedy} n p one `), lines[0]);
  });
}

Deno.test("a filesystem that does not answer delays nothing else, and is asked once, however many show it", async () => {
  const { host, lines, collect, timeouts } = setUp({ one: 7, two: 8 });
  for (const pid of [7, 8]) {
    host.mounts(pid, [
      `1 0 0:${pid} / / rw - overlay overlay rw`,
      `${pid} 1 0:99 /${pid} /dead rw - nfs4 server:/ rw`,
      `1${pid} 1 0:98 /${pid} /nfs rw - nfs4 other:/ rw`,
    ]);
  }
  host.set("/dead", { answer: "never" });
  const healthy = ["one", "two"].flatMap((name) => [`${name} / 1000 700 250`, `${name} /nfs 1000 700 250`]);
  const began = performance.now();
  for (let cycle = 0; cycle < 3; cycle++) assert.deepEqual(await collect(), healthy);
  assert.ok(performance.now() - began < 3 * WAIT_MS + 1000);
  const calls = () => host.asked.filter((path) => path === "/dead").length;
  assert.equal(calls(), 1);
  assert.deepEqual(lines, []);

  host.timeOut("/dead");
  for (let cycle = 0; cycle < 50; cycle++) assert.deepEqual(await collect(), healthy);
  assert.equal(calls(), 1, "nobody asks while the call hangs");
  assert.deepEqual(lines, ["warn filesystem does not answer: left out until it does n p one /dead nfs4"]);
  assert.equal(await timeouts(), 1);

  host.release("/dead");
  assert.equal((await collect()).length, 6);
  assert.equal((await collect()).length, 6);
  assert.deepEqual(lines.slice(1), ["info filesystem answers again n p one /dead nfs4"]);
});

Deno.test("a filesystem that hangs and answers all the time is logged once a minute, and when it hangs on", async () => {
  const { host, lines, collect, time } = setUp();
  host.mounts(7, [ROOT, "2 1 0:2 / /nfs rw - nfs4 s:/ rw"]);
  const hang = async () => {
    host.set("/nfs", { answer: "never" });
    await collect();
    host.timeOut("/nfs");
    await collect();
  };
  for (let second = 0; second < 60; second += 5) {
    time.now = second * 1000;
    await hang();
    host.release("/nfs");
    host.set("/nfs", {});
    await collect();
  }
  await hang();
  const [hangs, answers] = ["warn filesystem does not answer", "info filesystem answers again"];
  const told = () => lines.map((line) => line.replace(/(: left out| n p).*/, ""));
  assert.deepEqual(told(), [hangs, answers]);
  time.now = 60_000;
  await collect();
  assert.deepEqual(told(), [hangs, answers, hangs]);
});

Deno.test("a filesystem that is gone when its call comes back is forgotten; one that hangs again is not told twice", async () => {
  const { host, lines, collect } = setUp();
  const mounts = [ROOT, "2 1 0:2 / /dead rw - fuse.x x rw"];
  host.mounts(7, mounts);
  host.set("/dead", { answer: "never" });
  await collect();
  host.timeOut("/dead");
  await collect();
  host.releaseOnly("/dead");
  await collect();
  host.timeOut("/dead");
  await collect();
  assert.equal(lines.length, 1, lines.join("\n"));
  host.mounts(7, [ROOT]);
  host.release("/dead");
  await collect();
  host.mounts(7, mounts);
  await collect();
  assert.equal(lines.length, 1, "it was another filesystem that answered");
});

Deno.test("what lies behind a dead filesystem is out of reach there, but not where else it is mounted", async () => {
  const { host, collect } = setUp({ one: 7, two: 8 });
  host.mounts(7, [
    "1 0 0:7 / / rw - overlay overlay rw",
    "2 1 0:99 / /dead rw - nfs4 s:/ rw",
    "3 2 8:1 /v /dead/v rw - ext4 /dev/x rw",
  ]);
  host.mounts(8, ["1 0 0:8 / / rw - overlay overlay rw", "4 1 8:1 /v /v rw - ext4 /dev/x rw"]);
  host.set("/dead", { answer: "never" });
  host.set("/dead/v", { answer: "never" });
  const healthy = ["one / 1000 700 250", "two / 1000 700 250", "two /v 1000 700 250"];
  assert.deepEqual(await collect(), healthy);
  host.timeOut("/dead");
  host.timeOut("/dead/v");
  assert.deepEqual(await collect(), healthy);
});

Deno.test("an answer that comes too late is the next cycle's, if that has none of its own in time", async () => {
  const { host, lines, collect } = setUp();
  host.mounts(7, [ROOT, "2 1 0:2 / /slow rw - nfs4 s:/ rw"]);
  host.set("/slow", { answer: "never" });
  assert.deepEqual(await collect(), ["main / 1000 700 250"]);
  host.answer("/slow", { blocks: 10 });
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  assert.deepEqual(await collect(), ["main / 1000 700 250", "main /slow 10 7 2.5"]);
  assert.deepEqual(await collect(), ["main / 1000 700 250"], "it is used once");
  assert.deepEqual(lines, []);
});

Deno.test("however many filesystems hang, no more calls are made than may, and local ones are shown", async () => {
  const { host, lines, collect } = setUp();
  const dead = Array.from({ length: 60 }, (_, index) => `/dead${index}`);
  const mounts = dead.map((path, index) => `${index + 10} 1 0:${index + 10} / ${path} rw - nfs4 s:/ rw`);
  host.mounts(7, [...mounts, ROOT, "2 1 0:2 / /tmp rw - tmpfs tmpfs rw"]);
  for (const path of dead) host.set(path, { answer: "never" });
  for (let cycle = 0; cycle < 5; cycle++) {
    assert.deepEqual(await collect(), ["main / 1000 700 250", "main /tmp 1000 700 250"]);
    for (const path of dead) host.timeOut(path);
  }
  const asked = dead.filter((path) => host.asked.includes(path)).length;
  assert.equal(asked, 24);
  assert.equal(lines.filter((line) => line.startsWith("warn too many")).length, 1);
  for (const path of dead) host.release(path);
  assert.equal((await collect()).length, 2 + dead.length, "all places are free again");
});

Deno.test("all local filesystems are asked about at once, remote ones and what lies behind them by themselves", async () => {
  const { host, collect } = setUp({ one: 7, two: 8 });
  const mounts = (pid: number) => [
    `1 0 0:${pid} / / rw - overlay overlay rw`,
    `2 1 0:1${pid} / /tmp rw - tmpfs tmpfs rw`,
    "3 1 0:99 / /nfs rw - nfs4 s:/ rw",
    "4 3 8:1 /v /nfs/v rw - ext4 /dev/x rw",
  ];
  for (const pid of [7, 8]) host.mounts(pid, mounts(pid));
  assert.equal((await collect()).length, 2 * 4);
  assert.deepEqual(host.calls.toSorted(), [1, 1, 4]);
});

Deno.test("local filesystems are being asked when others get their turn", async () => {
  const { host, collector, cycle } = setUp();
  host.mounts(7, [ROOT, DATA]);
  assert.equal(collector.waits, true);
  const collected = collector.collect(cycle);
  assert.deepEqual(host.calls, [2]);
  await collected;
});

Deno.test("a local filesystem that does not answer is left out, told when it hangs on, and shown when it does", async () => {
  const { host, lines, collect, timeouts } = setUp({ one: 7, two: 8 });
  host.mounts(7, ["1 0 0:7 / / rw - overlay overlay rw", "2 1 8:1 /v /v rw - ext4 /dev/x rw"]);
  host.mounts(8, ["1 0 0:8 / / rw - overlay overlay rw", "3 1 8:1 /w /w rw - ext4 /dev/x rw"]);
  host.set("/v", { answer: "never" });
  host.set("/w", { answer: "never" });
  const rest = ["one / 1000 700 250", "two / 1000 700 250"];
  const hung = collect();
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  const [dead = ""] = ["/v", "/w"].filter((path) => host.asked.includes(path));
  host.timeOut(dead);
  assert.deepEqual(await hung, rest, "of one filesystem only one is asked about while it hangs");
  assert.equal(host.asked.filter((path) => path === "/v" || path === "/w").length, 1);
  assert.deepEqual(lines, [], "it may have been slow for once");
  for (let cycle = 0; cycle < 3; cycle++) assert.deepEqual(await collect(), rest);
  assert.equal(lines.length, 1, lines.join("\n"));
  assert.match(
    lines[0] ?? "",
    /^warn filesystem does not answer: left out until it does n p (one|two) \/[vw] ext4$/,
  );
  assert.equal(await timeouts(), 1);
  host.release(dead);
  host.set("/v", {});
  host.set("/w", {});
  assert.equal((await collect()).length, 4);
  assert.match(lines[1] ?? "", /^info filesystem answers again n p (one|two) \/[vw] ext4$/);
  host.calls.length = 0;
  assert.equal((await collect()).length, 4);
  assert.deepEqual(host.calls, [4], "it is asked about with the others again");
});

Deno.test("a local filesystem that was slow for once is asked by itself, then with the others again", async () => {
  const { host, lines, collect, timeouts } = setUp();
  host.mounts(7, [ROOT, "2 1 8:1 / /v rw - ext4 /dev/x rw"]);
  host.set("/v", { answer: "never" });
  const slow = collect();
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  host.timeOut("/v");
  await slow;
  host.release("/v");
  for (const calls of [[1, 1], [2]]) {
    host.calls.length = 0;
    assert.deepEqual(await collect(), ["main / 1000 700 250", "main /v 1000 700 250"]);
    assert.deepEqual(host.calls, calls);
  }
  assert.deepEqual([lines, await timeouts()], [[], 0]);
});

Deno.test("what a container that cannot be looked into shares with another is shown of that one", async () => {
  const shared = "2 1 0:50 / /shared rw - tmpfs tmpfs rw";
  for (const hinder of ["deny", "end"] as const) {
    for (const pid of [7, 8]) {
      const { host, collect } = setUp({ one: 7, two: 8 });
      for (const each of [7, 8]) host.mounts(each, [`1 0 0:${each} / / rw - overlay overlay rw`, shared]);
      host[hinder](pid);
      const other = pid === 7 ? "two" : "one";
      assert.deepEqual(await collect(), [`${other} / 1000 700 250`, `${other} /shared 1000 700 250`]);
    }
  }
});

Deno.test("mounts that come, go and take another's place are seen in the next cycle", async () => {
  const { host, collect } = setUp();
  const [data, other] = ["2 1 0:2 / /data rw - tmpfs tmpfs rw", "3 1 0:3 / /data rw - tmpfs tmpfs rw"];
  const steps: [string[], string[]][] = [
    [[ROOT], ["/"]],
    [[ROOT, data], ["/", "/data"]],
    [[ROOT, other], ["/", "/data"]],
    [[ROOT], ["/"]],
    [[ROOT, "4 1 0:4 / /longer rw - tmpfs tmpfs rw", other], ["/", "/data", "/longer"]],
  ];
  for (const [mounts, expected] of steps) {
    host.mounts(7, mounts);
    for (let cycle = 0; cycle < 2; cycle++) {
      assert.deepEqual((await collect()).map((row) => row.split(" ")[1]), expected);
    }
  }
});
