/** Commands as real processes. */
import assert from "node:assert/strict";
import { Interrupted, must, NOT_FOUND, processRunner } from "../commands.ts";

Deno.test("a command's output, code and input are its own", async () => {
  const run = processRunner({ KPOD_TEST_WORD: "seen" });
  assert.deepEqual(
    await run("sh", ["-c", 'cat; echo "$KPOD_TEST_WORD"; echo wrong >&2; exit 7'], { input: "in\n" }),
    {
      code: 7,
      stdout: "in\nseen\n",
      stderr: "wrong\n",
    },
  );
  assert.equal((await run("true", [], { input: "x".repeat(1 << 20) })).code, 0, "it need not read all of it");
});

Deno.test("a command runs where it is told to", async () => {
  assert.equal(await must(processRunner({}), "pwd", [], { cwd: "/usr" }), "/usr\n");
});

Deno.test("a program that is not installed is no exception", async () => {
  const { code, stderr } = await processRunner({})("kpod-no-such-program", []);
  assert.deepEqual([code, stderr], [NOT_FOUND, "kpod-no-such-program: not installed"]);
});

Deno.test("a command that must succeed fails with itself and the end of what it said", async () => {
  const run = processRunner({});
  assert.equal(await must(run, "echo", ["fine"]), "fine\n");
  await assert.rejects(must(run, "sh", ["-c", "seq 1 100; echo broken >&2; exit 3"]), (error: Error) => {
    assert.match(error.message, /^"sh -c seq 1 100; .*" ended with 3:\n/);
    assert.match(error.message, /\n100\nbroken$/);
    assert.doesNotMatch(error.message, /\n20\n/);
    return true;
  });
});

Deno.test("an interruption ends the running command, and no other is begun", async () => {
  const interruption = new AbortController();
  const run = processRunner({}, interruption.signal);
  const began = Promise.withResolvers<void>();
  const directory = await Deno.makeTempDir();
  const watcher = Deno.watchFs(directory);
  void (async () => {
    for await (const _ of watcher) began.resolve();
  })();
  const running = run("sh", ["-c", `touch ${directory}/began; exec sleep 1000`]);
  await began.promise;
  watcher.close();
  interruption.abort();
  await assert.rejects(running, Interrupted);
  await assert.rejects(run("true", []), Interrupted);
  await Deno.remove(directory, { recursive: true });
});
