import assert from "node:assert/strict";
import process from "node:process";
import { processFamilies, type ProcessFiles } from "../../src/metrics/process.ts";
import { openDescriptors } from "../../src/native/connections.ts";
import { openMetricsErrors, rendered } from "../exposition.ts";

const FILES: ProcessFiles = {
  stat: "4242 (a) b (c d)) S 1 4242 4242 0 -1 4194304 9000 0 12 0 150 25 7 8 20 0 11 0 30050 52428800 " +
    "12800 18446744073709551615 1 1 0 0\n",
  status:
    "Name:\ta) b (c d)\nVmPeak:\t   60000 kB\nVmSize:\t   51200 kB\nVmRSS:\t   50000 kB\nThreads:\t11\n",
  limits: "Limit                     Soft Limit           Hard Limit           Units     \n" +
    "Max processes             127232               127232               processes \n" +
    "Max open files            1024                 524288               files     \n",
  openFiles: 138,
  bootTimeSeconds: 1_900_000_000,
  clockTicks: 100,
};

function values(files: ProcessFiles): Record<string, number | undefined> {
  return Object.fromEntries(processFamilies(files).map(({ name, samples }) => [name, samples[0]?.value]));
}

const ALL = {
  process_cpu_user_seconds_total: 1.5,
  process_cpu_system_seconds_total: 0.25,
  process_cpu_seconds_total: 1.75,
  process_start_time_seconds: 1_900_000_300.5,
  process_resident_memory_bytes: 51_200_000,
  process_virtual_memory_bytes: 52_428_800,
  process_open_fds: 138,
  process_max_fds: 1024,
};

function without(...names: (keyof typeof ALL)[]) {
  return Object.fromEntries(
    Object.entries(ALL).filter(([name]) => !names.includes(name as keyof typeof ALL)),
  );
}

for (
  const [what, change, expected] of [
    ["all files are read, whatever the process is called", {}, ALL],
    ["limits nobody read are left out", { limits: undefined }, without("process_max_fds")],
    ["files nobody counted are left out", { openFiles: undefined }, without("process_open_fds")],
    [
      "no limit of open files is no number",
      { limits: "Max open files            unlimited            unlimited            files     \n" },
      without("process_max_fds"),
    ],
    [
      "a status without memory, as a kernel thread's, gives none",
      { status: "Name:\tx\nThreads:\t1\n" },
      without("process_resident_memory_bytes"),
    ],
    [
      "empty files give no false numbers",
      { stat: "", status: "", limits: "" },
      { process_open_fds: 138 },
    ],
  ] as const
) {
  Deno.test(`process metrics: ${what}`, () => {
    assert.deepEqual(values({ ...FILES, ...change }), expected);
  });
}

Deno.test("process metrics agree with what the runtime says about this process", async () => {
  const boot = /^btime (\d+)$/m.exec(await Deno.readTextFile("/proc/stat"));
  const families = processFamilies({
    stat: await Deno.readTextFile("/proc/self/stat"),
    status: await Deno.readTextFile("/proc/self/status"),
    limits: await Deno.readTextFile("/proc/self/limits"),
    openFiles: openDescriptors(),
    bootTimeSeconds: Number(boot?.[1]),
    clockTicks: 100,
  });
  const value = (name: string) => families.find((family) => family.name === name)?.samples[0]?.value ?? NaN;
  const near = (actual: number, expected: number, tolerance: number) =>
    assert.ok(
      Math.abs(actual - expected) <= tolerance,
      `${actual} is not within ${tolerance} of ${expected}`,
    );

  const rss = Deno.memoryUsage().rss;
  near(value("process_resident_memory_bytes"), rss, 0.1 * rss);
  const cpu = process.cpuUsage();
  near(value("process_cpu_user_seconds_total"), cpu.user / 1e6, 0.1);
  near(value("process_cpu_system_seconds_total"), cpu.system / 1e6, 0.1);
  assert.ok(value("process_virtual_memory_bytes") > rss);
  const open = (await Array.fromAsync(Deno.readDir("/proc/self/fd"))).length;
  // The listing holds one itself.
  assert.equal(value("process_open_fds"), open - 1);
  assert.ok(value("process_max_fds") >= open);
  assert.deepEqual(openMetricsErrors(await rendered(families, "openmetrics")), []);
});

Deno.test("a process's start time is when it was started", async () => {
  const before = Date.now() / 1000;
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  try {
    const stat = await Deno.readTextFile(`/proc/${child.pid}/stat`);
    const boot = /^btime (\d+)$/m.exec(await Deno.readTextFile("/proc/stat"));
    const [start] = processFamilies({ stat, status: "", bootTimeSeconds: Number(boot?.[1]), clockTicks: 100 })
      .filter((family) => family.name === "process_start_time_seconds");
    // btime is in whole seconds.
    assert.ok(Math.abs((start?.samples[0]?.value ?? NaN) - before) < 2);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
});
