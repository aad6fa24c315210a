import assert from "node:assert/strict";
import { distinctFilesystems, eligibleMounts } from "../../src/parse/filesystems.ts";
import { type Mount, parseMountInfo } from "../../src/parse/mountinfo.ts";
import { kernelFile, PROCESSES } from "./kernel_files.ts";

const FILES = /^\/etc\/(hosts|hostname|resolv\.conf)$|^\/dev\/termination-log$|^\/proc\/sysrq-trigger$/;
const isFile = ({ mountPoint }: Mount) => FILES.test(mountPoint);

function pick(mounts: readonly Mount[], isFile?: (mount: Mount) => boolean): Mount[] {
  return distinctFilesystems(eligibleMounts(mounts), isFile);
}

const REAL: readonly [name: keyof typeof PROCESSES, mountPoints: string[]][] = [
  ["writer", ["/", "/dev", "/data", "/mem", "/dev/shm", "/proc/acpi"]],
  ["cgroupfsWriter", ["/", "/dev", "/data", "/mem", "/dev/shm", "/proc/acpi"]],
  ["hostNetwork", ["/", "/dev", "/dev/shm"]],
];

for (const [name, mountPoints] of REAL) {
  Deno.test(`a real container's filesystems are those that df shows in it: ${name}`, () => {
    const { mounts } = parseMountInfo(kernelFile(PROCESSES[name], "mountinfo"));
    assert.deepEqual(
      pick(mounts, isFile).map(({ mountPoint }) => mountPoint),
      mountPoints,
    );
  });
}

/** Short for a mountinfo: `id parent device root mountPoint [type [source]]` a line. */
function mountsOf(lines: readonly string[]): readonly Mount[] {
  const text = lines.map((line) => {
    const [id, parent, device, root, mountPoint, type = "ext4", source = "/dev/x"] = line.split(" ");
    return `${id} ${parent} ${device} ${root} ${mountPoint} rw - ${type} ${source} rw\n`;
  });
  const { mounts, skipped } = parseMountInfo(text.join(""));
  assert.equal(skipped, 0);
  return mounts;
}

const CASES: readonly [what: string, lines: string[], picked: string[]][] = [
  ["of two mounts the one nearer to / counts", ["1 0 8:1 / /long", "2 0 8:1 / /s"], ["/s"]],
  ["of two mounts as near the first counts", ["1 0 8:1 / /a", "2 0 8:1 / /b"], ["/a"]],
  ["the whole filesystem counts, not a nearer part of it", ["1 0 8:1 / /long", "2 0 8:1 /part /s"], [
    "/long",
  ]],
  ["a part that is not nearer does not count", ["1 0 8:1 /part /a", "2 0 8:1 / /long"], ["/a"]],
  ["a real source counts before a name", ["1 0 8:1 / /a ext4 root", "2 0 8:1 / /long"], ["/long"]],
  ["filesystems come in the order of their first mounts", [
    "1 0 8:1 / /long",
    "2 0 8:2 / /b",
    "3 0 8:1 / /a",
  ], ["/a", "/b"]],
  ["a hidden filesystem counts where else it is mounted", [
    "1 0 8:1 / /",
    "2 1 8:2 / /a",
    "3 2 8:3 / /a",
    "4 1 8:2 / /elsewhere",
  ], ["/", "/a", "/elsewhere"]],
  ["a mount hides what lies below it", ["1 0 8:1 / /", "2 1 8:2 / /a/b", "3 1 8:3 / /a"], ["/", "/a"]],
  ["what is mounted on a hidden mount is hidden", [
    "1 0 8:1 / /",
    "2 1 8:2 / /a/b",
    "3 2 8:3 / /a/b/c",
    "4 1 8:4 / /a",
  ], ["/", "/a"]],
  ["a mount over the root hides everything", ["1 0 8:1 / /", "2 1 8:2 / /a", "3 1 8:3 / /"], ["/"]],
  ["a mount on the upper one is not hidden", [
    "1 0 8:1 / /",
    "2 1 8:2 / /a/b",
    "3 1 8:3 / /a",
    "4 3 8:4 / /a/b",
  ], ["/", "/a", "/a/b"]],
  ["a mount does not hide its neighbours of similar name", [
    "1 0 8:1 / /",
    "2 1 8:2 / /ab",
    "3 1 8:3 / /a",
  ], ["/", "/ab", "/a"]],
  ["parents may be listed later", ["4 3 8:4 / /a/b", "3 1 8:3 / /a", "1 0 8:1 / /"], ["/a/b", "/a", "/"]],
  ["mounts of a root that cannot be seen hide each other too", ["2 1 8:2 / /a/b", "3 1 8:3 / /a"], ["/a"]],
  ["a new root hides mounts of the same parent", ["2 1 8:2 / /a", "3 1 8:3 / /"], ["/"]],
  ["a mount that is its own parent is a root", ["1 1 8:1 / /", "2 1 8:2 / /a"], ["/", "/a"]],
  ["a mount on top of such a root counts instead", ["1 1 8:1 / /", "2 1 8:2 / /", "3 2 8:3 / /a"], [
    "/",
    "/a",
  ]],
  ["mounts in a circle are reached by no path", ["1 2 8:1 / /a", "2 1 8:2 / /a"], []],
  ["types without a size do not count", [
    "1 0 0:1 / /",
    "2 1 0:2 / /proc proc",
    "3 1 0:3 / /sys sysfs",
    "4 3 0:4 / /sys/fs/cgroup cgroup2",
    "5 1 0:5 net:[1] /ns nsfs",
  ], ["/"]],
  ["tmpfs, overlay and network filesystems count", [
    "1 0 0:1 / / overlay overlay",
    "2 1 0:2 / /tmp tmpfs tmpfs",
    "3 1 0:3 / /nfs nfs4 server:/share",
    "4 1 0:4 / /ssh fuse.sshfs a@b:/c",
  ], ["/", "/tmp", "/nfs", "/ssh"]],
  ["a remote filesystem counts once", ["1 0 0:3 / /a nfs4 s:/a", "2 0 0:3 / /b nfs4 s:/b"], ["/a"]],
];

for (const [what, lines, picked] of CASES) {
  Deno.test(what, () => {
    const found = pick(mountsOf(lines)).map(({ mountPoint }) => mountPoint);
    assert.deepEqual(found, picked);
  });
}

Deno.test("the last mount at one place hides those before", () => {
  const mounts = mountsOf(["1 0 8:1 / /a", "2 1 8:2 / /a", "3 2 8:3 / /a"]);
  assert.deepEqual(pick(mounts).map(({ device }) => device), ["8:3"]);
});

Deno.test("a file does not stand for its filesystem, but a directory mounted later does", () => {
  const mounts = mountsOf(["1 0 8:1 /pod/hosts /etc/hosts", "2 0 8:1 /pod/volume /var/lib/data"]);
  assert.deepEqual(pick(mounts, isFile).map(({ mountPoint }) => mountPoint), [
    "/var/lib/data",
  ]);
});

Deno.test("a filesystem of which only files are mounted does not count", () => {
  assert.deepEqual(
    pick(mountsOf(["1 0 8:1 /pod/hosts /etc/hosts"]), isFile),
    [],
  );
});

Deno.test("nothing is asked about mounts that would not be picked or cannot be files", () => {
  const mounts = mountsOf([
    "1 0 8:1 / /",
    "2 1 8:1 /part /longer",
    "3 1 8:2 /part /shown",
    "4 1 0:3 /x /proc/x proc",
    "5 1 8:4 /under /a",
    "6 5 8:1 / /a",
  ]);
  const asked: string[] = [];
  pick(mounts, ({ mountPoint }) => {
    asked.push(mountPoint);
    return false;
  });
  assert.deepEqual(asked, ["/shown"]);
});

Deno.test("ten thousand mounts on top of each other are no trouble", () => {
  const stack = Array.from({ length: 10_000 }, (_, i) => `${i + 1} ${i} 0:${i + 1} / /a tmpfs x`);
  assert.deepEqual(pick(mountsOf(stack)).map(({ device }) => device), [
    "0:10000",
  ]);
});
