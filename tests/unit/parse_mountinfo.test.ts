import assert from "node:assert/strict";
import { type Mount, parseMountInfo } from "../../src/parse/mountinfo.ts";
import { kernelFile, PROCESSES } from "./kernel_files.ts";

/** The one mount of a line, of which nothing was skipped. */
function mountOf(line: string): Mount {
  const { mounts, skipped } = parseMountInfo(line + "\n");
  assert.equal(skipped, 0);
  assert.equal(mounts.length, 1);
  return mounts[0] as Mount;
}

Deno.test("a container's mounts are read", () => {
  const { mounts, skipped } = parseMountInfo(kernelFile(PROCESSES.writer, "mountinfo"));
  assert.equal(mounts.length, 25);
  assert.equal(skipped, 0);
  assert.deepEqual(mounts.find(({ mountPoint }) => mountPoint === "/data"), {
    mountId: 957,
    parentId: 945,
    device: "254:0",
    root: "/var/lib/kubelet/pods/cf2917095ebec08ee8b32dcb41dab085/volumes/kubernetes.io~empty-dir/scratch",
    mountPoint: "/data",
    isPropagated: false,
    fsType: "ext4",
    source: "/dev/vda",
  });
});

for (const [name, directory] of Object.entries(PROCESSES)) {
  Deno.test(`every line of a real mountinfo is understood: ${name}`, () => {
    const text = kernelFile(directory, "mountinfo");
    const { mounts, skipped } = parseMountInfo(text);
    assert.equal(mounts.length, text.split("\n").length - 1);
    assert.equal(skipped, 0);
  });
}

for (
  const [optional, isPropagated] of [
    ["", false],
    ["shared:1 ", true],
    ["master:2 propagate_from:1 ", true],
    ["unbindable ", false],
  ] as const
) {
  Deno.test(`a mount with "${optional}" ${isPropagated ? "takes on" : "does not take on"} others' mounts`, () => {
    assert.equal(mountOf(`36 35 98:0 / /b rw ${optional}- ext3 /dev/r ro`).isPropagated, isPropagated);
  });
}

const FIELDS = ["", "shared:1", "master:2 propagate_from:1", "shared:3 master:2 unbindable", "new:1:2 later"];

for (const optional of FIELDS) {
  Deno.test(`fields before the dash may be any: "${optional}"`, () => {
    const mount = mountOf(
      ["36 35 98:0 /a /b rw", ...optional.split(" ").filter(Boolean), "- ext3 /dev/r ro"].join(" "),
    );
    assert.deepEqual([mount.mountPoint, mount.fsType, mount.source], ["/b", "ext3", "/dev/r"]);
  });
}

const ESCAPES: readonly [written: string, meant: string][] = [
  ["/a\\040b", "/a b"],
  ["/a\\011b", "/a\tb"],
  ["/a\\012b", "/a\nb"],
  ["/a\\134b", "/a\\b"],
  ["/a\\134040b", "/a\\040b"],
  ["/a\\043b\\054c\\075d", "/a#b,c=d"],
  ["/\\303\\244", "/ä"],
  ["/\\377", "/\uFFFD"],
  ["/\\0401", "/ 1"],
  ["/a\\04", "/a\\04"],
  ["/a\\888b\\400", "/a\\888b\\400"],
  ["/ä\u00a0\r", "/ä\u00a0\r"],
  ["/-", "/-"],
];

for (const [written, meant] of ESCAPES) {
  Deno.test(`${JSON.stringify(written)} stands for ${JSON.stringify(meant)}`, () => {
    const mount = mountOf(`36 35 98:0 ${written} ${written} rw - ext3 ${written} rw`);
    assert.deepEqual([mount.root, mount.mountPoint, mount.source], [meant, meant, meant]);
  });
}

const UNUSUAL: readonly [what: string, line: string, fields: Partial<Mount>][] = [
  ["no source", "83 73 0:50 / /u rw,relatime - tmpfs  rw", { fsType: "tmpfs", source: "" }],
  ["a namespace as its root", "83 73 0:4 net:[4026531840] /ns rw - nsfs nsfs rw", {
    root: "net:[4026531840]",
  }],
  ["a deleted file as its root", "83 73 8:1 /f//deleted /f rw - ext4 /dev/sda rw", { root: "/f//deleted" }],
  ["a subtype", "83 73 0:9 / /m rw - fuse.sshfs a@b:/c rw", { fsType: "fuse.sshfs", source: "a@b:/c" }],
  ["a dash as its root", "83 73 0:9 - /m rw - tmpfs x rw", { root: "-", fsType: "tmpfs" }],
  ["a dash as its source", "83 73 0:9 / /m rw shared:1 - tmpfs - rw", { fsType: "tmpfs", source: "-" }],
  ["spaces in its superblock's options", "83 73 0:9 / /m rw - 9p x rw,a=b c", {
    fsType: "9p",
    source: "x",
  }],
];

for (const [what, line, fields] of UNUSUAL) {
  Deno.test(`a mount is read that has ${what}`, () => {
    assert.deepEqual({ ...mountOf(line), ...fields }, mountOf(line));
  });
}
