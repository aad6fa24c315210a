import assert from "node:assert/strict";
import { NativeError } from "../../src/native/error.ts";
import { HostRoot } from "../../src/native/host_files.ts";

/** Where the cgroup v2 hierarchy is mounted. */
function cgroupMount(): string {
  using proc = HostRoot.open("/proc");
  const mount = proc.readText("self/mountinfo").split("\n").find((line) => line.includes(" - cgroup2 "));
  assert.ok(mount, "this machine has no cgroup v2 mount");
  return mount.split(" ")[4] ?? "";
}

/** Runs `test` with a new cgroup, which is removed with those below it. */
function withCgroup(test: (name: string, mount: string) => void): void {
  const mount = cgroupMount();
  const name = `kpod-test-${Deno.pid}`;
  Deno.mkdirSync(`${mount}/${name}`);
  try {
    test(name, mount);
  } finally {
    using root = HostRoot.open(mount);
    for (const { path } of root.walk(name).toReversed()) Deno.removeSync(`${mount}/${path}`);
  }
}

Deno.test("a walk of cgroups finds every one, by its id", () =>
  withCgroup((name, mount) => {
    for (const path of ["pod1", "pod1/a", "pod1/b", "pod2", "pod2/c/nested"]) {
      Deno.mkdirSync(`${mount}/${name}/${path}`, { recursive: true });
    }
    using root = HostRoot.open(mount);
    const found = root.walk(name);
    assert.deepEqual(
      found.map(({ path }) => path.slice(name.length + 1)).sort(),
      ["", "pod1", "pod1/a", "pod1/b", "pod2", "pod2/c", "pod2/c/nested"],
    );
    for (const maxDepth of [0, 1, 2, 32]) {
      const expected = found.filter(({ depth }) => depth <= maxDepth);
      assert.deepEqual(root.walk(name, maxDepth), expected);
      for (const { id, path } of expected) {
        assert.equal(id, BigInt(Deno.statSync(`${mount}/${path}`).ino ?? 0), path);
      }
    }
  }));

Deno.test("a cgroup removed while its files are in a set gives ENODEV and harms no other", () =>
  withCgroup((name, mount) => {
    const files = ["kept/cpu.stat", "gone/cpu.stat", "gone/cgroup.procs", "kept/cgroup.events"];
    for (const pod of ["kept", "gone"]) Deno.mkdirSync(`${mount}/${name}/${pod}`);
    using root = HostRoot.open(mount);
    using set = root.fileSet();
    const slots = files.map((file) => set.add(`${name}/${file}`));
    assert.ok(set.refresh(slots).every((file) => typeof file === "string"));
    Deno.removeSync(`${mount}/${name}/gone`);
    const [cpu, goneCpu, goneProcs, events] = set.refresh(slots);
    assert.equal(cpu, undefined, "nothing has run in it");
    assert.equal(goneCpu instanceof NativeError && goneCpu.code, "ENODEV");
    assert.equal(goneProcs instanceof NativeError && goneProcs.code, "ENODEV");
    assert.equal(events, undefined);
    Deno.mkdirSync(`${mount}/${name}/gone`);
    assert.equal(
      set.refresh(slots)[1] instanceof NativeError,
      true,
      "a new cgroup of that name is another one",
    );
  }));

Deno.test("one reading of a cgroup's file gets all of it", () =>
  withCgroup((name, mount) => {
    const names = [...Deno.readDirSync(`${mount}/${name}`)].map((entry) => entry.name)
      .filter((file) => /\.(?:stat|pressure|events|current|max)$/.test(file));
    assert.ok(names.length > 4, names.join());
    using root = HostRoot.open(mount);
    using set = root.fileSet();
    const slots = names.map((file) => set.add(`${name}/${file}`));
    set.refresh(slots).forEach((text, index) => {
      assert.equal(text, Deno.readTextFileSync(`${mount}/${name}/${names[index]}`), names[index]);
    });
  }));
