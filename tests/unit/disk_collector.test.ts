/** Disks: what they are called, and devices that come, go, and take each other's numbers and names. */
import assert from "node:assert/strict";
import { cgroupCollector } from "../../src/collectors/cgroup_collector.ts";
import { deviceNames } from "../../src/collectors/device_names.ts";
import { DISK } from "../../src/collectors/disk.ts";
import { HostRoot } from "../../src/native/host_files.ts";
import { cgroup, NodeStory, pod } from "./node_story.ts";

/** A container whose io.stat and whose node's devices a test sets; returns `device bytes read` of each cycle. */
function setUp() {
  const names = new Map<string, string>();
  const asked: string[] = [];
  const sys = {
    readText(path: string): string {
      asked.push(path);
      const name = names.get(path.split("/")[2] ?? "");
      if (name === undefined) throw new Error("no such device");
      return `MAJOR=8\nMINOR=0\nDEVNAME=${name}\nDEVTYPE=disk\n`;
    },
  };
  const collector = cgroupCollector(DISK, deviceNames(sys));
  const [one, two] = [cgroup("web", "c1"), cgroup("web", "c2")];
  const story = new NodeStory().answer([pod("web", "web", { main: ["c2", "c1"] })]);
  story.live = [one];
  return {
    story,
    two,
    names,
    asked,
    cycle(read: Readonly<Record<string, number>>) {
      story.cycle();
      const text = Object.entries(read).map(([device, bytes]) =>
        `${device} rbytes=${bytes} wbytes=2 rios=3 wios=4\n`
      ).join("");
      const [family] = collector.collect({ targets: story.index, files: { text: () => text } });
      return (family?.samples ?? []).map(({ labels, value }) => `${labels.device} ${value}`);
    },
  };
}

Deno.test("a device is called by its name, or by its number until it has one", () => {
  const { names, cycle } = setUp();
  assert.deepEqual(cycle({ "8:0": 1, "8:16": 2 }), ["8:0 1", "8:16 2"]);
  names.set("8:0", "sda");
  assert.deepEqual(cycle({ "8:0": 1, "8:16": 2 }), ["sda 1", "8:16 2"]);
});

Deno.test("a name is looked up once a cycle", () => {
  const { names, asked, cycle } = setUp();
  names.set("8:0", "sda");
  cycle({ "8:0": 1 });
  assert.deepEqual(asked, ["dev/block/8:0/uevent"]);
});

Deno.test("a device that is gone keeps its name and its count", () => {
  const { names, cycle } = setUp();
  names.set("8:0", "sda");
  cycle({ "8:0": 5 });
  names.clear();
  assert.deepEqual(cycle({}), ["sda 5"]);
});

Deno.test("a number that another device has taken has its name from then on", () => {
  const { names, cycle } = setUp();
  names.set("259:3", "nvme1n1");
  cycle({ "259:3": 5 });
  names.set("259:3", "nvme2n1");
  assert.deepEqual(cycle({ "259:3": 6 }), ["nvme2n1 6"]);
});

Deno.test("a device made anew under its number goes on from the total", () => {
  const { story, two, names, cycle } = setUp();
  names.set("253:0", "dm-0");
  cycle({ "253:0": 100 });
  assert.deepEqual(cycle({ "253:0": 10 }), ["dm-0 110"]);
  assert.deepEqual(cycle({ "253:0": 15 }), ["dm-0 115"]);
  story.live = [two];
  assert.deepEqual(cycle({ "253:0": 1 }), ["dm-0 116"], "after a restart of the container");
});

Deno.test("a name that another number has taken is one series still", () => {
  const { names, cycle } = setUp();
  names.set("259:3", "nvme1n1");
  cycle({ "259:3": 100 });
  names.delete("259:3");
  names.set("259:5", "nvme1n1");
  assert.deepEqual(cycle({ "259:5": 10 }), ["nvme1n1 110"]);
});

const UEVENTS: readonly (readonly [uevent: string, name: string])[] = [
  ["MAJOR=259\nMINOR=0\nDEVNAME=nvme0n1\nDEVTYPE=disk\nDISKSEQ=9\n", "nvme0n1"],
  ["MAJOR=104\nMINOR=0\nDEVNAME=cciss/c0d0\nDEVTYPE=disk\n", "cciss/c0d0"],
  ["MAJOR=259\nMINOR=0\nDEVTYPE=disk\n", "259:0"],
  ["DEVNAME=\n", "259:0"],
  ["", "259:0"],
];

for (const [uevent, name] of UEVENTS) {
  Deno.test(`${JSON.stringify(uevent)} gives the device the name ${name}`, () => {
    assert.equal(deviceNames({ readText: () => uevent })("259:0"), name);
  });
}

Deno.test("every disk of this machine has the name that its directory has", () => {
  using sys = HostRoot.open("/sys");
  const nameOf = deviceNames(sys);
  for (const { name } of Deno.readDirSync("/sys/block")) {
    // One path of several to an NVMe disk has no number.
    const files = [...Deno.readDirSync(`/sys/block/${name}`)].map((file) => file.name);
    if (!files.includes("dev")) continue;
    const device = Deno.readTextFileSync(`/sys/block/${name}/dev`).trim();
    assert.equal(nameOf(device), name.replaceAll("!", "/"));
  }
  assert.equal(nameOf("999:999"), "999:999");
});
