/** Each workload does what it says: its own counts against the kernel's in `/proc`. Kernel tests rely on it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { LabNode } from "../lab/node.ts";
import { contextSwitches, majorFaults, schedStat, settled, tcpCounter } from "../lab/proc.ts";
import { type ServerStats, type SyscallCounts, type Transfer, Workload } from "../lab/workload.ts";

/** Only root may make cgroups and network namespaces. */
const needsRoot = { ignore: Deno.build.os !== "linux" || Deno.uid() !== 0 };
const linux = { ignore: Deno.build.os !== "linux" };
const ECONNREFUSED = 111, ETIMEDOUT = 110;

const total = (pid: number) => contextSwitches(pid).voluntary + contextSwitches(pid).involuntary;

Deno.test(
  "switch makes a context switch or more for each unit, and the kernel counts the same",
  linux,
  async () => {
    await using workload = await Workload.start(["switch", "3"], { pin: true });
    await settled(workload.pid);
    const [switches, runs] = [total(workload.pid), schedStat(workload.pid).runs];
    const answer = await workload.go(500);
    await settled(workload.pid);
    const made = total(workload.pid) - switches;
    const counted = (answer["voluntary"] ?? 0) + (answer["involuntary"] ?? 0);
    assert.ok(made >= 500, `${made} switches`);
    assert.ok(made - counted >= 0 && made - counted <= 4, `${made} switches, ${counted} counted`);
    // Each of the four threads may have been picked without having been switched out.
    assert.ok(Math.abs(schedStat(workload.pid).runs - runs - made) <= 4);
  },
);

Deno.test("pinned spinning threads use their CPU time and wait for each other", linux, async () => {
  await using workload = await Workload.start(["spin", "--threads", "2"], { pin: true });
  const before = schedStat(workload.pid);
  const answer = await workload.go(30);
  const after = schedStat(workload.pid);
  assert.ok((answer["cpu_ns"] ?? 0) >= 60e6);
  assert.ok((answer["wall_ns"] ?? 0) >= 60e6);
  assert.ok(after.onCpuNs - before.onCpuNs >= 60e6);
  assert.ok(after.waitedNs - before.waitedNs >= 25e6, `waited ${after.waitedNs - before.waitedNs} ns`);
});

Deno.test("fork makes that many children", linux, async () => {
  const forks = () => Number(/^processes (\d+)/m.exec(Deno.readTextFileSync("/proc/stat"))?.[1]);
  await using workload = await Workload.start(["fork"]);
  const before = forks();
  assert.deepEqual(await workload.go(20), { forked: 20 });
  assert.ok(forks() - before >= 20);
});

Deno.test("syscalls are counted exactly, and the protocol adds one readv and one writev", linux, async () => {
  await using workload = await Workload.start(["syscalls"]);
  // /proc/PID/io counts read and readv as syscr, write and writev as syscw.
  const io = (name: string) =>
    Number(RegExp(`^${name}: (\\d+)`, "m").exec(Deno.readTextFileSync(`/proc/${workload.pid}/io`))?.[1]);
  await settled(workload.pid);
  const before = { read: io("syscr"), write: io("syscw") };
  const counts = await workload.go<SyscallCounts>(123);
  await settled(workload.pid);
  assert.deepEqual(counts, {
    read: { count: 123, errors: 0 },
    write: { count: 123, errors: 0 },
    openat: { count: 246, errors: 123 },
    close: { count: 123, errors: 0 },
  });
  assert.deepEqual({ read: io("syscr") - before.read, write: io("syscw") - before.write }, {
    read: 123 + 1,
    write: 123 + 1,
  });
});

Deno.test("sleeps last at least what was asked for, and futex reports its time-outs", linux, async () => {
  for (
    const [call, usec, errors] of [["nanosleep", 500, 0], ["epoll_wait", 2_000, 0], [
      "futex",
      500,
      10,
    ]] as const
  ) {
    await using workload = await Workload.start(["sleep-syscall", "--call", call]);
    const answer = await workload.go(10, usec);
    assert.equal(answer["errors"], errors, call);
    assert.ok((answer["ns"] ?? 0) >= 10 * usec * 1000, `${call} took ${answer["ns"]} ns`);
  }
});

Deno.test("each touched page of a cold file is one major fault", needsRoot, async () => {
  await using node = await LabNode.start();
  const container = (await node.addPod({ name: "faults" })).container();
  const workload = await node.run(container, ["fault", join(node.directory, "cold")]);
  await workload.go(64);
  const before = majorFaults(workload.pid);
  assert.deepEqual(await workload.go(64), { pages: 64, major_faults: 64 });
  assert.equal(majorFaults(workload.pid) - before, 64);
});

Deno.test("a process that uses more memory than its container may is killed", needsRoot, async () => {
  await using node = await LabNode.start();
  const spec = { name: "main", memoryLimitBytes: 16 << 20 };
  const container = (await node.addPod({ name: "hungry", containers: [spec] })).container();
  const workload = await node.run(container, ["alloc"]);
  assert.deepEqual(await workload.go(4), { allocated_bytes: 4 << 20 });
  await assert.rejects(workload.go(64), /ended by SIGKILL/);
  const events = container.memoryCgroup === undefined
    ? `${container.cgroup}/memory.events`
    : `${container.memoryCgroup}/memory.oom_control`;
  assert.match(await Deno.readTextFile(events), /^oom_kill 1$/m);
});

Deno.test("both ends of a connection count the same bytes, by every way into the kernel", linux, async () => {
  const bytes = 1_234_567;
  for (const address of ["127.0.0.1", "::1"]) {
    for (const mode of ["read", "peek", "splice", "zero", "uring"]) {
      await using server = await Workload.start(["tcp-server", address, "0", "--mode", mode]);
      let served = 0;
      for (const sending of ["send", "write", "sendfile", "splice", "uring"]) {
        const args = ["tcp-client", address, String(server.port), "--mode", sending];
        await using client = await Workload.start(args);
        const answer = await client.go<Transfer>(bytes);
        const stats = await server.send<ServerStats>("stats");
        served++;
        assert.deepEqual([answer.sent, answer.received], [bytes, 0], `${sending} to ${mode}`);
        assert.equal(answer.tcp.bytes_sent - answer.tcp.bytes_retransmitted, bytes, `${sending} to ${mode}`);
        assert.deepEqual(
          [stats.accepted, stats.closed, stats.received],
          [served, served, served * bytes],
          `${sending} to ${mode}`,
        );
        if (mode === "zero" && sending === "splice") assert.ok(stats.mapped > 0);
      }
    }
  }
});

Deno.test("an echo server answers all it gets on a connection that is kept", linux, async () => {
  await using server = await Workload.start(["tcp-server", "::", "0", "--mode", "echo"]);
  await using client = await Workload.start(["tcp-client", "127.0.0.1", String(server.port)]);
  await client.send("connect");
  const answer = await client.send<Transfer>("rr 50 1000");
  assert.deepEqual([answer.sent, answer.received], [50_000, 50_000]);
  assert.deepEqual(await client.send("close"), { closed: 1 });
  const stats = await server.send<ServerStats>("stats");
  assert.deepEqual([stats.accepted, stats.received, stats.sent], [1, 50_000, 50_000]);
});

Deno.test("connections that are refused or time out fail with their error", needsRoot, async () => {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "lonely", ownNetwork: true });
  const client = await node.run(pod.container(), ["tcp-client", "127.0.0.1", "1"]);
  assert.deepEqual(await client.send("connect"), { errno: ECONNREFUSED, open: 0 });
  assert.equal(tcpCounter(client.pid, "AttemptFails"), 1);
  await node.dropTcp(pod, 100);
  assert.deepEqual(await client.send("connect 50"), { errno: ETIMEDOUT, open: 0 });
  assert.equal(tcpCounter(client.pid, "ActiveOpens"), 2);
});

Deno.test("packets that are dropped are sent again", needsRoot, async () => {
  await using node = await LabNode.start();
  const pod = await node.addPod({ name: "lossy", ownNetwork: true });
  const server = await node.run(pod.container(), ["tcp-server", "127.0.0.1", "0"]);
  const client = await node.run(pod.container(), ["tcp-client", "127.0.0.1", String(server.port)]);
  assert.equal((await client.go<Transfer>(200_000)).sent, 200_000);
  await node.dropTcp(pod, 20);
  let retransmits = 0;
  for (let attempt = 0; attempt < 20 && retransmits === 0; attempt++) {
    const answer = await client.go<Transfer>(200_000);
    assert.equal(answer.sent, 200_000);
    retransmits = answer.tcp.retransmits;
  }
  assert.ok(retransmits > 0);
  assert.ok(tcpCounter(client.pid, "RetransSegs") >= retransmits);
});

Deno.test("pods with networks of their own reach each other over their link", needsRoot, async () => {
  await using node = await LabNode.start();
  const [a, b] = [
    await node.addPod({ name: "a", ownNetwork: true }),
    await node.addPod({ name: "b", ownNetwork: true }),
  ];
  const [, address] = await node.link(a, b);
  const server = await node.run(b.container(), ["tcp-server", address, "0"]);
  const client = await node.run(a.container(), ["tcp-client", address, String(server.port)]);
  assert.equal((await client.go<Transfer>(100_000)).sent, 100_000);
  const received = /eth0:\s*(\d+)/.exec(await Deno.readTextFile(`/proc/${server.pid}/net/dev`))?.[1];
  assert.ok(Number(received) > 100_000);
  assert.equal(tcpCounter(server.pid, "PassiveOpens"), 1);
});

Deno.test("a workload belongs to its container, or to a cgroup below it", needsRoot, async () => {
  await using node = await LabNode.start();
  const container = (await node.addPod({ name: "nested" })).container();
  for (const below of [undefined, "system.slice/inner.service"]) {
    const workload = await node.run(container, ["pause"], below === undefined ? {} : { below });
    const own = join(container.cgroup ?? "", below ?? "");
    const members = await Deno.readTextFile(join(own, "cgroup.procs"));
    assert.ok(members.split("\n").includes(String(workload.pid)));
    await workload.exit();
  }
});
