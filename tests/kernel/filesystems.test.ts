/** Filesystem gauges against `df` in the containers' own mount namespaces, and mounts that never answer. */
import assert from "node:assert/strict";
import { filesystemCollector } from "../../src/collectors/filesystem.ts";
import type { SizesOptions } from "../../src/collectors/filesystem_sizes.ts";
import { Processes } from "../../src/collectors/processes.ts";
import type { LogFields } from "../../src/log.ts";
import { HostRoot } from "../../src/native/host_files.ts";
import { LabNode } from "../lab/node.ts";
import { FuseServer } from "./fuse.ts";
import { LabCycle } from "./lab_cycle.ts";
import { MountedProcess } from "./mounts.ts";
import { needsFuse, needsLab, needsLoop } from "./requirements.ts";
import { until } from "./until.ts";

const LIMIT_MS = 10_000;
const MEBIBYTE = 1 << 20;

/** `size used available` in bytes by mount point. */
type Sizes = ReadonlyMap<string, string>;

/** Longer than local filesystems take on a machine that is busy with other things: none is late. */
const PATIENT: SizesOptions = { waitMs: 5000 };

/** A lab node with a pod of the containers `one` and `two`, and the collector over it. */
async function setUp(limits: SizesOptions = PATIENT) {
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await LabNode.start());
  const pod = await node.addPod({ name: "a", containers: ["one", "two"] });
  const lab = new LabCycle(node);
  const proc = stack.use(HostRoot.open("/proc"));
  const processes = new Processes(proc);
  const lines: string[] = [];
  const log = (level: string) => (message: string, { container, mountpoint, type }: LogFields = {}) =>
    void lines.push(`${level} ${message}: ${container} ${mountpoint} ${type}`);
  const collector = filesystemCollector(proc, processes, { info: log("info"), warn: log("warn") }, limits);
  let timeouts: number | undefined;
  const owned = stack.move();
  return {
    pod,
    lines,
    timeouts: () => timeouts,
    /** What the collector says of a container. */
    async collect(container = "one"): Promise<Sizes> {
      const sizes = new Map<string, string>();
      for (const { name, type, samples } of await collector.collect(lab.next())) {
        for (const { labels, ...sample } of samples) {
          const value = "value" in sample ? sample.value : NaN;
          if (name === "kpod_fs_timeouts_total") timeouts = value;
          else assert.equal(type, "gauge");
          if (labels.container !== container) continue;
          const mountPoint = labels.mountpoint ?? "";
          sizes.set(mountPoint, `${sizes.get(mountPoint) ?? ""} ${value}`.trim());
        }
      }
      return sizes;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What df shows in the process's mount namespace, but for what is mounted at a single file. */
async function df(process: MountedProcess): Promise<Sizes> {
  const text = await process.inside("df", "--block-size=1", "--output=target,size,used,avail");
  return new Map(
    text.trim().split("\n").slice(1).flatMap((line): [string, string][] => {
      const [, target = "", sizes = ""] = /^(.*?) +(\d+ +\d+ +\d+)$/.exec(line) ?? [];
      assert.notEqual(target, "", line);
      return isDirectory(process, target) ? [[target, sizes.replaceAll(/ +/g, " ")]] : [];
    }),
  );
}

/** df prints a question mark for a control character. */
function isDirectory({ pid }: MountedProcess, target: string): boolean {
  return target.includes("?") || Deno.statSync(`/proc/${pid}/root${target}`).isDirectory;
}

function sorted(sizes: Sizes): [string, string][] {
  return [...sizes].sort(([one], [other]) => one < other ? -1 : 1);
}

Deno.test("a container has the filesystems that df shows there, and their sizes", needsLab, async () => {
  await using lab = await setUp();
  await using process = await MountedProcess.start(
    lab.pod.container("one"),
    `
      mkdir plain bound twice "a b" over shadow shadow/deep && touch file
      mkdir "$(printf 'tab\\there')"
      mount -t tmpfs -o size=8m,nr_inodes=1000 first plain
      mkdir plain/inner && echo content > plain/inner/file && head -c 3000000 /dev/zero > plain/data
      mount --bind plain/inner bound
      mount --bind plain/inner/file file
      mount -t tmpfs -o size=5m second twice
      mkdir twice/again && mount --bind twice twice/again
      mount -t tmpfs -o size=1m spaces "a b"
      mount -t tmpfs -o size=2m tabs "$(printf 'tab\\there')"
      mount -t tmpfs -o size=3m under over
      mount -t tmpfs -o size=4m upper over
      mount -t tmpfs -o size=6m hidden shadow/deep
      mount -t tmpfs -o size=7m shadow shadow`,
  );
  const before = await df(process);
  const collected = await lab.collect();
  const after = await df(process);
  // Others write to the machine's disk meanwhile.
  const still = (sizes: Sizes) =>
    sorted(new Map([...sizes].filter(([path]) => before.get(path) === after.get(path))));
  const found = new Map([...collected].map(([path, size]) => [path.replaceAll("\t", "?"), size]));
  assert.deepEqual(still(found), still(before));
  assert.deepEqual([...found.keys()].sort(), [...before.keys()].sort());
  const own = [...collected.keys()].filter((path) => path.startsWith(process.directory));
  assert.deepEqual(
    own.map((path) => path.slice(process.directory.length)).sort(),
    ["/a b", "/over", "/plain", "/shadow", "/tab\there", "/twice"],
  );
  for (const path of own) {
    assert.equal(before.get(path.replace("\t", "?")), after.get(path.replace("\t", "?")), "nobody writes");
  }
  assert.equal(collected.get(`${process.directory}/over`), `${4 * MEBIBYTE} 0 ${4 * MEBIBYTE}`);
  assert.deepEqual(lab.lines, []);
});

Deno.test(
  "only a file of a filesystem is mounted: it does not count, though it is asked about",
  needsLab,
  async () => {
    await using lab = await setUp();
    await using process = await MountedProcess.start(
      lab.pod.container("one"),
      `
      mkdir all part && touch file
      mount -t tmpfs -o size=8m gone all && mkdir all/part && echo content > all/file
      mount --bind all/file file
      umount all
      mount -t tmpfs -o size=9m gone all && mkdir all/part && mount --bind all/part part
      umount all`,
    );
    for (let cycle = 0; cycle < 2; cycle++) {
      const collected = await lab.collect();
      assert.equal(collected.get(`${process.directory}/part`)?.split(" ")[0], String(9 * MEBIBYTE));
      assert.equal(collected.get(`${process.directory}/file`), undefined);
    }
  },
);

Deno.test(
  "a container whose processes are all in cgroups below its own has filesystems too",
  needsLab,
  async () => {
    await using lab = await setUp();
    const cgroup = `${lab.pod.container("one").cgroup}/init.scope`;
    await Deno.mkdir(cgroup);
    await using process = await MountedProcess.start(
      { cgroup },
      "mkdir own; mount -t tmpfs -o size=8m own own",
    );
    const own = `${process.directory}/own`;
    assert.equal((await lab.collect()).get(own), `${8 * MEBIBYTE} 0 ${8 * MEBIBYTE}`);
    await process.end();
    await until("the container is empty", () => isEmpty(lab.pod.container("one").cgroup));
    assert.deepEqual(await lab.collect(), new Map());
  },
);

function isEmpty(cgroup = ""): boolean {
  return Deno.readTextFileSync(`${cgroup}/cgroup.events`).includes("populated 0");
}

Deno.test(
  "mounts made, covered and taken away in a running container show in the next cycle",
  needsLab,
  async () => {
    await using lab = await setUp();
    await using process = await MountedProcess.start(lab.pod.container("one"), "mkdir one two");
    const own = async () =>
      sorted(await lab.collect()).filter(([path]) => path.startsWith(process.directory))
        .map(([path, size]) =>
          `${path.slice(process.directory.length + 1)} ${Number(size.split(" ")[0]) / MEBIBYTE}`
        );
    const steps: [command: string, expected: string[]][] = [
      ["mount -t tmpfs -o size=1m first one", ["one 1"]],
      ["mount -t tmpfs -o size=2m second two", ["one 1", "two 2"]],
      ["mount -t tmpfs -o size=3m third one", ["one 3", "two 2"]],
      ["umount one", ["one 1", "two 2"]],
      ["mount -o remount,size=4m two", ["one 1", "two 4"]],
      ["umount two && mount -t tmpfs -o size=5m fourth two", ["one 1", "two 5"]],
      ["umount one && umount two", []],
    ];
    assert.deepEqual(await own(), []);
    for (const [command, expected] of steps) {
      await process.inside("sh", "-ec", `cd ${process.directory} && ${command}`);
      for (let cycle = 0; cycle < 2; cycle++) assert.deepEqual(await own(), expected, command);
    }
  },
);

/** The end of commands: what stays lacks the capability to mount, as a container's process does. */
const UNPRIVILEGED = `
  echo ready
  exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin cat`;

Deno.test(
  "what somebody else changes in a container that may not mount shows in the next cycle",
  needsLab,
  async () => {
    await using lab = await setUp();
    await using process = await MountedProcess.start(
      lab.pod.container("one"),
      `mkdir one two; mount -t tmpfs -o size=1m first one; mount -t tmpfs -o size=2m second two${UNPRIVILEGED}`,
    );
    const own = async () =>
      sorted(await lab.collect()).filter(([path]) => path.startsWith(process.directory)).map(([path, size]) =>
        `${path.slice(process.directory.length + 1)} ${Number(size.split(" ")[0]) / MEBIBYTE}`
      );
    for (let cycle = 0; cycle < 4; cycle++) assert.deepEqual(await own(), ["one 1", "two 2"]);
    const steps: [command: string, expected: string[]][] = [
      ["mount -o remount,size=4m two", ["one 1", "two 4"]],
      ["mount -t tmpfs -o size=3m third one", ["one 3", "two 4"]],
      ["umount two && mount -t tmpfs -o size=5m fourth two", ["one 3", "two 5"]],
      ["umount one", ["one 1", "two 5"]],
      ["umount one && umount two", []],
    ];
    for (const [command, expected] of steps) {
      await process.inside("sh", "-ec", `cd ${process.directory} && ${command}`);
      for (let cycle = 0; cycle < 3; cycle++) assert.deepEqual(await own(), expected, command);
    }
  },
);

Deno.test(
  "a container that goes on with another process, or in other mounts, is seen through that",
  needsLab,
  async () => {
    await using lab = await setUp();
    const container = lab.pod.container("one");
    await using first = await MountedProcess.start(
      container,
      "mkdir own && mount -t tmpfs -o size=1m own own",
    );
    const [inFirst, sizeOf] = [
      `${first.directory}/own`,
      async (path: string) => (await lab.collect()).get(path),
    ];
    assert.equal(await sizeOf(inFirst), `${MEBIBYTE} 0 ${MEBIBYTE}`);
    await using second = await MountedProcess.start(
      container,
      "mkdir own && mount -t tmpfs -o size=2m own own",
    );
    assert.equal(await sizeOf(inFirst), `${MEBIBYTE} 0 ${MEBIBYTE}`, "the one that is known is kept");
    await first.end();
    assert.equal(await sizeOf(`${second.directory}/own`), `${2 * MEBIBYTE} 0 ${2 * MEBIBYTE}`);
    assert.equal(await sizeOf(inFirst), undefined);
  },
);

Deno.test("what a container had mounted is free when it has ended", needsLoop, async () => {
  await using lab = await setUp();
  await using stack = new AsyncDisposableStack();
  const image = await Deno.makeTempFile();
  stack.defer(() => Deno.remove(image));
  await Deno.truncate(image, 8 * MEBIBYTE);
  const run = async (...[program = "", ...args]: string[]) => {
    const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  };
  await run("mkfs.ext4", "-q", "-F", image);
  await using process = await MountedProcess.start(
    lab.pod.container("one"),
    `mkdir disk && mount -o loop ${image} disk`,
  );
  for (let cycle = 0; cycle < 3; cycle++) assert.ok((await lab.collect()).has(`${process.directory}/disk`));
  await process.end();
  const deadline = performance.now() + LIMIT_MS;
  // No cycle comes between: nothing that was open for one may hold on to the mount.
  while ((await run("losetup", "--associated", image)) !== "") {
    assert.ok(performance.now() < deadline, "the loop device is busy");
  }
});

Deno.test("roots are closed again", needsLab, async () => {
  await using lab = await setUp();
  await using _one = await MountedProcess.start(lab.pod.container("one"), "");
  await using _two = await MountedProcess.start(lab.pod.container("two"), "");
  const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
  await lab.collect();
  const before = open();
  for (let cycle = 0; cycle < 20; cycle++) await lab.collect();
  // The thread that has asked closes its last one when the answers are there.
  await until("no more is open than before", () => open() <= before);
});

/** Commands that mount a FUSE filesystem which nobody serves, with its other end as descriptor 9. */
const dead = (name: string) =>
  `mkdir ${name}; exec 9<>/dev/fuse; mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 ${name} ${name}`;

/** What is said of a container when its healthy filesystems have answered in time, which may take a few cycles. */
async function collectWith(
  lab: Awaited<ReturnType<typeof setUp>>,
  container: string,
  healthy: string,
): Promise<Sizes> {
  const deadline = performance.now() + LIMIT_MS;
  for (;;) {
    const sizes = await lab.collect(container);
    if (sizes.has("/") && sizes.has(healthy) || performance.now() > deadline) return sizes;
  }
}

Deno.test(
  "a mount that never answers delays nothing, is told and counted once, and recovers",
  needsFuse,
  async () => {
    await using lab = await setUp({ callMs: 4000 });
    await using server = new FuseServer();
    await using one = await MountedProcess.start(
      lab.pod.container("one"),
      `mkdir healthy; mount -t tmpfs -o size=8m tmpfs healthy; ${dead("dead")}`,
    );
    await using _two = await MountedProcess.start(lab.pod.container("two"), "", one);
    const [healthy, gone] = [`${one.directory}/healthy`, `${one.directory}/dead`];
    const assertOnlyHealthy = async () => {
      for (const container of ["one", "two"]) {
        const sizes = await collectWith(lab, container, healthy);
        assert.deepEqual(
          [sizes.has("/"), sizes.has(healthy), sizes.has(gone)],
          [true, true, false],
          container,
        );
      }
    };
    await assertOnlyHealthy();
    assert.equal(lab.timeouts(), 0, "nobody has waited for the call");
    await until("the call comes to its time limit", () => lab.lines.length > 0);
    await assertOnlyHealthy();
    assert.equal(lab.timeouts(), 1);
    assert.equal(lab.lines.length, 1, lab.lines.join("\n"));
    assert.match(
      lab.lines[0] ?? "",
      new RegExp(`^warn filesystem does not answer: left out until it does: (one|two) ${gone} fuse$`),
    );

    server.start(one.pid, 9, { blocks: 1000n, free: 300n, available: 200n });
    const deadline = performance.now() + LIMIT_MS;
    for (;;) {
      const sizes = await lab.collect("two");
      const size = sizes.get(gone);
      if (size === undefined && performance.now() < deadline) continue;
      assert.equal(size, `${1000 * 4096} ${700 * 4096} ${200 * 4096}`);
      break;
    }
    assert.equal((await lab.collect("one")).get(gone), `${1000 * 4096} ${700 * 4096} ${200 * 4096}`);
    assert.match(lab.lines.slice(1).join("\n"), /^info filesystem answers again: (one|two) .* fuse$/);
    assert.equal(lab.timeouts(), 1);
  },
);

Deno.test("thirty mounts that never answer leave the others their place", needsFuse, async () => {
  const [count, most] = [30, 24];
  await using lab = await setUp({ callMs: 3000 });
  const each = `for i in $(seq ${count}); do ${dead('"dead$i"')}; sleep 1000 & done; exec 9<&-`;
  await using one = await MountedProcess.start(
    lab.pod.container("one"),
    `${each}\nmkdir healthy; mount -t tmpfs -o size=8m tmpfs healthy`,
  );
  const healthy = `${one.directory}/healthy`;
  for (const told of [0, most + 1, most + 1]) {
    await until("the calls come to their time limit", () => lab.lines.length >= told);
    const sizes = await collectWith(lab, "one", healthy);
    assert.equal(sizes.get(healthy), `${8 * MEBIBYTE} 0 ${8 * MEBIBYTE}`);
    assert.deepEqual([...sizes.keys()].filter((path) => path.includes("/dead")), []);
    assert.equal(lab.lines.length, told, lab.lines.join("\n"));
  }
  assert.equal(lab.timeouts(), most);
});
