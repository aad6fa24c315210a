/**
 * What only a machine shows whose controllers are all in cgroup v2: what a container writes to a disk, is kept from
 * using, and is killed for, against what was done.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { cgroupCollector } from "../../src/collectors/cgroup_collector.ts";
import { deviceNames } from "../../src/collectors/device_names.ts";
import { DISK } from "../../src/collectors/disk.ts";
import { HostRoot } from "../../src/native/host_files.ts";
import { LabNode } from "../lab/node.ts";
import type { LabContainer } from "../lab/pods.ts";
import { CgroupReader, textOf } from "./cgroup_reader.ts";
import { needsController } from "./requirements.ts";
import { Watch } from "./watch.ts";

const MEBIBYTE = 1 << 20;
const BLOCK_BYTES = 64 * 1024;
const LIMIT_MIB = 32;

/** Runs a command as a process of the container. */
async function inside(container: LabContainer, ...command: string[]): Promise<void> {
  const script = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
  const args = ["-c", script, container.cgroup ?? "", ...command];
  const { success, stderr } = await new Deno.Command("sh", { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** A value of one of a container's flat keyed files. */
function fileValue({ cgroup }: LabContainer, file: string, key: string): number {
  return Number(new RegExp(`^${key} (\\d+)$`, "m").exec(textOf(`${cgroup}/${file}`))?.[1]);
}

/** The device a file is on: its number as io.stat has it, and its name. */
async function deviceOf(path: string) {
  const { dev } = await Deno.stat(path);
  const number = `${dev >> 8}:${dev & 0xff}`;
  return { number, name: /^DEVNAME=(.+)$/m.exec(textOf(`/sys/dev/block/${number}/uevent`))?.[1] };
}

Deno.test("what is written to a disk and read from it is counted to the byte and the request", {
  ignore: needsController("io").ignore,
}, async (t) => {
  await using node = await LabNode.start();
  const file = join(node.directory, "data");
  const pod = await node.addPod({ name: "disk", containers: ["main", "other"] });
  const [container, other] = [pod.container("main"), pod.container("other")];
  const dd = (...operands: string[]) => ["dd", "status=none", `bs=${BLOCK_BYTES}`, ...operands];
  const blocks = 48;
  // Room for the file is found by another one: what a container overwrites is its data and nothing else.
  await inside(other, ...dd("if=/dev/zero", `of=${file}`, `count=${blocks}`, "conv=fsync"));
  const { name, number } = await deviceOf(file);
  if (name === undefined) {
    // The lab's directory is on no disk: tmpfs, overlay.
    return void await t.step({ name: `device ${number} is a disk`, ignore: true, fn: () => {} });
  }
  using sys = HostRoot.open("/sys");
  using reader = new CgroupReader(node, [cgroupCollector(DISK, deviceNames(sys))]);
  const read = async () => {
    const samples = await reader.samples(container);
    const value = (family: string) =>
      samples.get(`disk_${family}_total`)?.find(({ labels }) => labels.device === name)?.value ?? 0;
    return {
      written: value("written_bytes"),
      writes: value("writes"),
      read: value("read_bytes"),
      reads: value("reads"),
    };
  };
  assert.deepEqual(await read(), { written: 0, writes: 0, read: 0, reads: 0 });
  await inside(
    container,
    ...dd("if=/dev/zero", `of=${file}`, `count=${blocks}`, "oflag=direct", "conv=notrunc"),
  );
  const written = { written: blocks * BLOCK_BYTES, writes: blocks, read: 0, reads: 0 };
  assert.deepEqual(await read(), written);
  await inside(container, ...dd(`if=${file}`, "of=/dev/null", "count=20", "iflag=direct"));
  assert.deepEqual(await read(), { ...written, read: 20 * BLOCK_BYTES, reads: 20 });
  await inside(other, ...dd(`if=${file}`, "of=/dev/null", "iflag=direct"));
  assert.deepEqual(await read(), { ...written, read: 20 * BLOCK_BYTES, reads: 20 });
});

Deno.test("when the kernel kills all of a container each process is one kill", {
  ignore: needsController("memory").ignore,
}, async () => {
  await using node = await LabNode.start();
  const limited = { name: "main", memoryLimitBytes: LIMIT_MIB * MEBIBYTE };
  const container = (await node.addPod({ name: "group", containers: [limited] })).container();
  await Deno.writeTextFile(`${container.cgroup}/memory.oom.group`, "1");
  using watch = new Watch(node, ["oom"]);
  const bystanders = [await node.run(container, ["pause"]), await node.run(container, ["pause"])];
  const hungry = await node.run(container, ["alloc"]);
  await assert.rejects(hungry.go(2 * LIMIT_MIB), /ended by SIGKILL/);
  for (const { exited } of bystanders) assert.equal((await exited).signal, "SIGKILL");
  assert.equal(watch.count("oom", container, "kills"), 3);
  // The kernel itself kills, and counts, the process it chose once more among the others (oom_kill_process()).
  assert.equal(fileValue(container, "memory.events", "oom_kill"), 3 + 1);
});

Deno.test("a container that is held back by cpu.max is throttled for the time it does not get", {
  ignore: needsController("cpu").ignore,
}, async () => {
  await using node = await LabNode.start();
  const container = (await node.addPod({ name: "quota" })).container();
  await Deno.writeTextFile(`${container.cgroup}/cpu.max`, "20000 100000");
  using reader = new CgroupReader(node);
  const workload = await node.run(container, ["spin"]);
  const before = await reader.read(container);
  // 20 ms of each 100 ms: 200 ms take nine pauses at the least.
  const { cpu_ns: cpu = 0, wall_ns: wall = 0 } = await workload.go(200);
  const after = await reader.read(container);
  const grown = (name: string) => (after[name] ?? NaN) - (before[name] ?? NaN);
  assert.equal(after.cpu_throttled_periods_total, fileValue(container, "cpu.stat", "nr_throttled"));
  assert.ok(grown("cpu_throttled_periods_total") >= 9, `${grown("cpu_throttled_periods_total")} periods`);
  assert.ok(grown("cpu_periods_total") >= grown("cpu_throttled_periods_total"));
  const [throttled, without] = [grown("cpu_throttled_seconds_total"), (wall - cpu) / 1e9];
  assert.ok(throttled <= without * 1.01, `throttled for ${throttled} s, without a CPU for ${without} s`);
  assert.ok(throttled >= 9 * 0.05, `throttled for ${throttled} s`);
});

Deno.test("memory is what the container has taken, and its limit what was set", {
  ignore: needsController("memory").ignore,
}, async () => {
  await using node = await LabNode.start();
  const limited = { name: "main", memoryLimitBytes: 64 * MEBIBYTE };
  const container = (await node.addPod({ name: "memory", containers: [limited] })).container();
  using reader = new CgroupReader(node);
  const workload = await node.run(container, ["alloc"]);
  const before = await reader.read(container);
  const taken = 16 * MEBIBYTE;
  await workload.go(16);
  const anonymous = await reader.read(container);
  const grown = (anonymous.mem_rss_bytes ?? NaN) - (before.mem_rss_bytes ?? NaN);
  // The kernel's own statistics lag behind by up to a batch of pages on each CPU.
  assert.ok(Math.abs(grown - taken) <= MEBIBYTE, `${grown} bytes of ${taken}`);
  assert.ok((anonymous.mem_usage_bytes ?? 0) >= (anonymous.mem_rss_bytes ?? NaN));
  await inside(
    container,
    "dd",
    "status=none",
    "if=/dev/zero",
    `of=${join(node.directory, "cached")}`,
    "bs=1M",
    "count=16",
  );
  const cached = await reader.read(container);
  const cache = (cached.mem_cache_bytes ?? NaN) - (anonymous.mem_cache_bytes ?? NaN);
  assert.ok(Math.abs(cache - taken) <= MEBIBYTE, `${cache} bytes of ${taken} in the page cache`);
  const workingSet = (cached.mem_usage_bytes ?? NaN) - fileValue(container, "memory.stat", "inactive_file");
  assert.ok(Math.abs((cached.mem_working_set_bytes ?? NaN) - workingSet) <= MEBIBYTE);
  assert.equal(cached.mem_limit_bytes, limited.memoryLimitBytes);
});

Deno.test("who waits for a disk, for memory or for a CPU is under that pressure", {
  ignore: needsController("io", "memory").ignore || textOf("/proc/pressure/io") === "",
}, async () => {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "pressed", containers: ["io", "memory", "cpu", "idle"] });
  using reader = new CgroupReader(node);
  const waited = async (container: string, resource: string) =>
    (await reader.read(pod.container(container)))[`pressure_${resource}_waiting_seconds_total`] ?? NaN;
  const file = join(node.directory, "read");
  await inside(
    pod.container("io"),
    "dd",
    "status=none",
    "if=/dev/zero",
    `of=${file}`,
    "bs=1M",
    "count=8",
    "conv=fsync",
  );
  await inside(
    pod.container("io"),
    "dd",
    "status=none",
    `if=${file}`,
    "of=/dev/null",
    "bs=4k",
    "iflag=direct",
  );
  assert.ok(await waited("io", "io") > 0, "no pressure of io");

  const throttled = pod.container("memory");
  await Deno.writeTextFile(`${throttled.cgroup}/memory.high`, String(4 * MEBIBYTE));
  const alloc = await node.run(throttled, ["alloc"]);
  await alloc.go(8);
  assert.ok(await waited("memory", "memory") > 0, "no pressure of memory");

  const spins = [
    await node.run(pod.container("cpu"), ["spin"], { pin: true }),
    await node.run(pod.container("cpu"), ["spin"], { pin: true }),
  ];
  await Promise.all(spins.map((spin) => spin.go(50)));
  assert.ok(await waited("cpu", "cpu") > 0, "no pressure of CPU");
  for (const resource of ["io", "memory", "cpu"]) assert.equal(await waited("idle", resource), 0, resource);
});
