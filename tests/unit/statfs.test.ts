/** Sizes of filesystems that answer, against what the runtime says; those that never do are tests/kernel's. */
import assert from "node:assert/strict";
import { statfsSync } from "node:fs";
import { NativeError } from "../../src/native/error.ts";
import { HostRoot } from "../../src/native/host_files.ts";
import { DirectoryError, filesystemSizes, type SizeQuestion } from "../../src/native/statfs.ts";

const TIMEOUT_MS = 5000;

function question(directory: string, path: string): SizeQuestion {
  return { directory, path, key: `${directory} ${path}` };
}

/** Runs `test` with a root over a new directory, and that directory's path. */
async function withRoot(test: (root: HostRoot, path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    using root = HostRoot.open(path);
    await test(root, path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

Deno.test("a filesystem's size is what statfs says, of each that is asked about, in order", () =>
  withRoot(async (root, path) => {
    await Deno.mkdir(`${path}/directory/below`, { recursive: true });
    await Deno.writeTextFile(`${path}/file`, "");
    using proc = HostRoot.open("/proc");
    const sizes = await filesystemSizes(proc, [
      question("self/root", path.slice(1)),
      question(".", "."),
      question("self/root", `${path.slice(1)}/file`),
      question("self/root", "dev"),
    ], TIMEOUT_MS);
    const expected = [[path, true], ["/proc", true], [`${path}/file`, false], ["/dev", true]] as const;
    sizes.forEach((size, index) => {
      assert.ok(!(size instanceof NativeError));
      const [of, isDirectory] = expected[index] ?? ["", false];
      const { blocks, bsize } = statfsSync(of);
      assert.equal(size.capacityBytes, blocks * bsize, of);
      assert.equal(size.isDirectory, isDirectory, of);
      assert.ok(size.availableBytes <= size.freeBytes && size.freeBytes <= size.capacityBytes, of);
      assert.equal(size.mountId, mountOf(of), of);
    });
    assert.equal(sizes.length, expected.length);
    const [below] = await filesystemSizes(root, [question("directory", "below")], TIMEOUT_MS);
    assert.ok(below !== undefined && !(below instanceof NativeError));
    assert.deepEqual(await filesystemSizes(root, [], TIMEOUT_MS), []);
  }));

/** The mount that a path leads to, by fdinfo. */
function mountOf(path: string): number {
  const { stdout } = new Deno.Command("sh", {
    args: ["-c", 'exec 9<"$0" && cat /proc/self/fdinfo/9', path],
  }).outputSync();
  return Number(/^mnt_id:\s*(\d+)$/m.exec(new TextDecoder().decode(stdout))?.[1]);
}

const ERRORS: readonly [what: string, SizeQuestion, code: string, of: "path" | "directory"][] = [
  ["a path that is not there", question(".", "none"), "ENOENT", "path"],
  ["a path that leads out of its directory", question("inside", "../.."), "EXDEV", "path"],
  ["an absolute path", question(".", "/etc"), "EXDEV", "path"],
  ["a link that leads out of its directory", question("inside", "out"), "EXDEV", "path"],
  ["a directory that is not there", question("none", "."), "ENOENT", "directory"],
  ["a directory that is a file", question("file", "."), "ENOTDIR", "directory"],
];

for (const [what, asked, code, of] of ERRORS) {
  Deno.test(`${what} has no size, which harms no other`, () =>
    withRoot(async (root, path) => {
      await Deno.mkdir(`${path}/inside`);
      await Deno.symlink("/etc", `${path}/inside/out`);
      await Deno.writeTextFile(`${path}/file`, "");
      const [before, error, after] = await filesystemSizes(
        root,
        [question(".", "."), asked, question("inside", ".")],
        TIMEOUT_MS,
      );
      assert.ok(error instanceof NativeError);
      assert.deepEqual([error.code, error instanceof DirectoryError], [code, of === "directory"]);
      for (const size of [before, after]) assert.ok(size !== undefined && !(size instanceof NativeError));
    }));
}

Deno.test("a closed root is refused", async () => {
  const root = HostRoot.open("/");
  root.close();
  await assert.rejects(filesystemSizes(root, [question(".", ".")], TIMEOUT_MS), { code: "EBADF" });
});
