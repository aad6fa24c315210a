/** Processes and their cgroups, as the native library lists them. */
import assert from "node:assert/strict";
import { HostRoot } from "../../src/native/host_files.ts";
import { hostFiles } from "./doctor_files.ts";

const LONG = "/kubepods".padEnd(4000, "/long");

/** A PID/cgroup and the path in it. */
const TEXTS: readonly [what: string, text: string, cgroup: string | undefined][] = [
  ["with cgroup v2 only", "0::/a\n", "/a"],
  ["with version 1 before", "2:cpu,cpuacct:/one\n1:name=systemd:/two\n0::/a\n", "/a"],
  ["with version 1 behind", "0::/a\n10::/b\n1:cpu:/0::/c\n", "/a"],
  ["of another cgroup namespace", "0::/../../b\n", "/../../b"],
  ["of the root", "0::/\n", "/"],
  ["of a name with blanks and colons", "0::/a b:c 0::d\n", "/a b:c 0::d"],
  ["of a long path", `0::${LONG}\n`, LONG],
  ["of a name with a carriage return", "1:cpu:/a\r0::/b\n0::/c\r\n", "/c\r"],
  ["cut short", "0::/a", "/a"],
  ["without cgroup v2", "2:cpu:/a\n1:name=0::/b\n", undefined],
  ["without a path", "0:", undefined],
  ["without content", "", undefined],
  ["longer than any", `${"1:cpu:/a\n".repeat(10_000)}0::/a\n`, undefined],
];

for (const [what, text, cgroup] of TEXTS) {
  Deno.test(`a process's cgroup is read from a file ${what}`, () => {
    using proc = hostFiles({ "7/cgroup": text, "8/cgroup": "0::/next\n" });
    const expected = [...cgroup === undefined ? [] : [{ pid: 7, cgroup }], { pid: 8, cgroup: "/next" }];
    const listed = proc.root.processes();
    assert.deepEqual(listed.sort((one, other) => one.pid - other.pid), expected);
  });
}

Deno.test("only directories that are process ids are processes", () => {
  const names = ["1", "7", "4194304", "2147483647"];
  const others = ["0", "07", "1x", "-1", "+1", " 1", "self", "sys", "2147483648", "99999999999999999999"];
  const files = [...names, ...others].map((name) => [`${name}/cgroup`, `0::/${name}\n`]);
  using proc = hostFiles({ ...Object.fromEntries(files), "5": "a file", "6/other": "" });
  const listed = proc.root.processes().map(({ cgroup }) => cgroup.slice(1));
  assert.deepEqual(listed.sort(), names.toSorted());
});

Deno.test("as many processes are listed as there are", () => {
  const pids = Array.from({ length: 300 }, (_, index) => index + 1);
  const path = (pid: number) => `/${String(pid).repeat(200)}`;
  using proc = hostFiles(Object.fromEntries(pids.map((pid) => [`${pid}/cgroup`, `0::${path(pid)}\n`])));
  const listed = proc.root.processes().sort((one, other) => one.pid - other.pid);
  assert.deepEqual(listed, pids.map((pid) => ({ pid, cgroup: path(pid) })));
});

Deno.test("this machine's processes are listed with the cgroups that they are in", () => {
  using proc = HostRoot.open("/proc");
  const own = proc.processes().find(({ pid }) => pid === Deno.pid);
  assert.match(Deno.readTextFileSync("/proc/self/cgroup"), new RegExp(`^0::${own?.cgroup}$`, "m"));
});

Deno.test("a closed root is refused", () => {
  const proc = HostRoot.open("/proc");
  proc.close();
  assert.throws(() => proc.processes(), { name: "NativeError", code: "EBADF" });
});
