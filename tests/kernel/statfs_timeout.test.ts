import assert from "node:assert/strict";
import { NativeError } from "../../src/native/error.ts";
import { HostRoot } from "../../src/native/host_files.ts";
import { filesystemSizes } from "../../src/native/statfs.ts";
import { filesystemSize } from "../unit/filesystem_size.ts";

const TIMEOUT_MS = 20;
/** Longer than any filesystem that answers takes on a machine that is busy with other things. */
const PATIENT_MS = 1000;
/** KPOD_STATFS_MAX_HUNG of native/kpod_files.h. */
const MAX_HUNG = 32;

/**
 * Runs `test` with the path of a mount that never answers, as a root sees it, and with what ends it: a FUSE
 * filesystem that nobody serves, in a mount namespace of its own. It is given up when its process ends.
 */
async function withDeadMount(test: (path: string, end: () => Promise<void>) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  const script = `
    exec 9<>/dev/fuse &&
    mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 dead "$0" &&
    echo ready && exec sleep 60`;
  const child = new Deno.Command("unshare", {
    args: ["--mount", "sh", "-c", script, directory],
    stdout: "piped",
  }).spawn();
  const end = async () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await child.status;
  };
  try {
    const { value } = await child.stdout.getReader().read();
    assert.equal(new TextDecoder().decode(value), "ready\n");
    await test(`/proc/${child.pid}/root${directory}`, end);
  } finally {
    await end();
    await Deno.remove(directory);
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "no error";
  } catch (error) {
    if (error instanceof NativeError) return error.code;
    throw error;
  }
}

/** Waits until the kernel has let go of all calls that hung. */
async function released(root: HostRoot, relative: string, key?: string): Promise<string> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const code = await codeOf(filesystemSize(root, relative, 1000, key));
    if (code !== "EBUSY" && code !== "EAGAIN") return code;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return "still hangs";
}

const parent = (path: string) => path.slice(0, path.lastIndexOf("/"));
const name = (path: string) => path.slice(path.lastIndexOf("/") + 1);

Deno.test("a mount that never answers costs its time limit once, then nothing, and others nothing at all", () =>
  withDeadMount(async (path, end) => {
    using root = HostRoot.open(parent(path));
    const dead = name(path);
    const start = performance.now();
    assert.equal(await codeOf(filesystemSize(root, dead, TIMEOUT_MS)), "ETIMEDOUT");
    assert.ok(performance.now() - start >= TIMEOUT_MS - 1);
    for (let again = 0; again < 50; again++) {
      assert.equal(await codeOf(filesystemSize(root, dead, 60_000)), "EBUSY");
    }
    using reopened = HostRoot.open(parent(path));
    assert.equal(await codeOf(filesystemSize(reopened, dead, 60_000)), "EBUSY");
    assert.equal(await codeOf(filesystemSize(root, ".", 5000)), "no error");
    await end();
    assert.notEqual(await released(root, dead), "still hangs");
  }));

Deno.test("calls with the key of one that hangs are refused, whatever their path, until it is let go", () =>
  withDeadMount(async (path, end) => {
    using root = HostRoot.open(parent(path));
    assert.equal(await codeOf(filesystemSize(root, name(path), TIMEOUT_MS, "key")), "ETIMEDOUT");
    assert.equal(await codeOf(filesystemSize(root, ".", 60_000, "key")), "EBUSY");
    assert.equal(await codeOf(filesystemSize(root, ".", 5000, "another")), "no error");
    await end();
    assert.equal(await released(root, ".", "key"), "no error");
  }));

Deno.test("the lookup of a path on a dead mount is limited as well", () =>
  withDeadMount(async (path, end) => {
    using root = HostRoot.open(parent(path));
    assert.equal(await codeOf(filesystemSize(root, `${name(path)}/some/file`, TIMEOUT_MS)), "ETIMEDOUT");
    await end();
    assert.notEqual(await released(root, `${name(path)}/some/file`), "still hangs");
  }));

Deno.test("a root may be closed while a call hangs on it", () =>
  withDeadMount(async (path, end) => {
    const root = HostRoot.open(parent(path));
    using other = HostRoot.open(parent(path));
    const call = codeOf(filesystemSize(root, name(path), TIMEOUT_MS));
    root.close();
    assert.equal(await call, "ETIMEDOUT");
    await end();
    assert.notEqual(await released(other, name(path)), "still hangs");
  }));

Deno.test("no more calls hang than the limit", () =>
  withDeadMount(async (path, end) => {
    using root = HostRoot.open(parent(path));
    const paths = Array.from({ length: MAX_HUNG }, (_, index) => `${name(path)}/${index}`);
    const codes = await Promise.all(paths.map((dead) => codeOf(filesystemSize(root, dead, TIMEOUT_MS))));
    assert.deepEqual([...new Set(codes)], ["ETIMEDOUT"]);
    assert.equal(await codeOf(filesystemSize(root, `${name(path)}/another`, TIMEOUT_MS)), "EAGAIN");
    assert.equal(await codeOf(filesystemSize(root, ".", 1000)), "EAGAIN");
    await end();
    assert.equal(await released(root, "."), "no error");
  }));

Deno.test("of many that are asked at once a dead one costs its time limit, and the others have their sizes", () =>
  withDeadMount(async (path, end) => {
    using proc = HostRoot.open("/proc");
    const [, pid = "", directory = ""] = /^\/proc\/(\d+)\/root\/(.*)$/.exec(path) ?? [];
    const question = (path: string, key: string, within = `${pid}/root`) => ({
      directory: within,
      path,
      key,
    });
    const asked = [
      question(parent(directory), "live"),
      question(directory, "dead"),
      question(parent(directory), "another live"),
      question(`${directory}/below`, "dead"),
      question(".", "proc", "."),
      question(`${directory}/other`, "dead in another way"),
      question(parent(directory), "live"),
    ];
    const codes = async () =>
      (await filesystemSizes(proc, asked, PATIENT_MS)).map((size) =>
        size instanceof NativeError ? size.code : "size"
      );
    assert.deepEqual(await codes(), ["size", "ETIMEDOUT", "size", "EBUSY", "size", "ETIMEDOUT", "size"]);
    for (let again = 0; again < 20; again++) {
      assert.deepEqual(await codes(), ["size", "EBUSY", "size", "EBUSY", "size", "EBUSY", "size"]);
    }
    await end();
    assert.equal(await released(proc, ".", "dead"), "no error");
    assert.equal(await released(proc, ".", "dead in another way"), "no error");
  }));

Deno.test("dead ones hold up those that are asked with them ten times their limit at most", () =>
  withDeadMount(async (path, end) => {
    using root = HostRoot.open(parent(path));
    const dead = Array.from({ length: 15 }, (_, index) => `${name(path)}/${index}`);
    const asked = [...dead, "."].map((path) => ({ directory: ".", path, key: path }));
    const sizes = await filesystemSizes(root, asked, TIMEOUT_MS);
    const codes = sizes.map((size) => size instanceof NativeError ? size.code : "size");
    const late = codes.indexOf("EAGAIN");
    // A busy machine may take its time between two of them.
    assert.ok(late > 0 && late <= 10, codes.join(" "));
    assert.ok(
      codes.every((code, index) => code === (index < late ? "ETIMEDOUT" : "EAGAIN")),
      codes.join(" "),
    );
    await end();
    for (const { key } of asked) assert.equal(await released(root, ".", key), "no error");
  }));
