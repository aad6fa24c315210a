/** How much of the agent's time wrong passwords can take. */
import assert from "node:assert/strict";
import { Attempts } from "../../src/web/attempts.ts";

const NO_PAUSE = { most: 3, mostOfPeer: 2, pauseFactor: 0 };

/** A comparison that ends when it is told to. */
function comparison() {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  let began = false;
  const compare = () => {
    began = true;
    return promise;
  };
  return { compare, resolve, reject, hasBegun: () => began };
}

/** Until everything that can go on has. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

Deno.test("one comparison runs at a time, in the order they came", async () => {
  const attempts = new Attempts(NO_PAUSE);
  const all = [comparison(), comparison(), comparison()];
  const answers = all.map(({ compare }, index) => attempts.run(`10.0.0.${index}`, compare));
  for (const [index, { resolve }] of all.entries()) {
    await settled();
    assert.deepEqual(all.map(({ hasBegun }) => hasBegun()), all.map((_, other) => other <= index));
    resolve(index === 1);
  }
  assert.deepEqual(await Promise.all(answers), [false, true, false]);
});

Deno.test("who is one too many is told so at once: of all, and of one address", async () => {
  const attempts = new Attempts(NO_PAUSE);
  const waiting = comparison();
  const never = () => assert.fail("it is not to be compared");
  const first = attempts.run("10.0.0.1", waiting.compare);
  const second = attempts.run("10.0.0.1", () => Promise.resolve(true));
  assert.equal(await attempts.run("10.0.0.1", never), undefined);
  const third = attempts.run("10.0.0.2", () => Promise.resolve(true));
  assert.equal(await attempts.run("10.0.0.3", never), undefined);
  waiting.resolve(false);
  assert.deepEqual(await Promise.all([first, second, third]), [false, true, true]);
  assert.equal(await attempts.run("10.0.0.1", () => Promise.resolve(true)), true);
});

Deno.test("a comparison that fails leaves its place", async () => {
  const attempts = new Attempts({ ...NO_PAUSE, most: 1 });
  await assert.rejects(
    attempts.run("10.0.0.1", () => Promise.reject(new Error("no libcrypt"))),
    /no libcrypt/,
  );
  await settled();
  assert.equal(await attempts.run("10.0.0.1", () => Promise.resolve(true)), true);
});

Deno.test("after a wrong password, and not after a right one, there is a pause that its comparison measures", async () => {
  const attempts = new Attempts({ ...NO_PAUSE, pauseFactor: 1_000_000 });
  assert.equal(await attempts.run("10.0.0.1", () => Promise.resolve(true)), true);
  const slow = comparison();
  const wrong = attempts.run("10.0.0.1", slow.compare);
  await settled();
  slow.resolve(false);
  assert.equal(await wrong, false);
  const next = comparison();
  void attempts.run("10.0.0.2", next.compare);
  await settled();
  assert.equal(next.hasBegun(), false);
});
