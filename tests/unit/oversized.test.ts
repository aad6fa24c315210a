/** What is too long to be read of one container. */
import assert from "node:assert/strict";
import { Oversized } from "../../src/collectors/oversized.ts";
import type { LogFields } from "../../src/log.ts";
import { NativeError } from "../../src/native/error.ts";

const [EACCES, EMSGSIZE] = [13, 90];

function recorder() {
  const lines: (readonly [message: string, fields: LogFields | undefined])[] = [];
  return {
    lines,
    oversized: new Oversized("left out", { warn: (message, fields) => void lines.push([message, fields]) }),
  };
}

const POD = { namespace: "shop", pod: "web", container: "", node: "node1" };
const CONTAINER = { ...POD, container: "app" };

function tooLong(): never {
  throw new NativeError("read 7/net/dev", EMSGSIZE);
}

Deno.test("what can be read is given back, and nothing told", () => {
  const { lines, oversized } = recorder();
  assert.equal(oversized.unlessTooLong(POD, () => 7), 7);
  assert.deepEqual(lines, []);
});

Deno.test("what is too long is nothing, told once for each container or pod", () => {
  const { lines, oversized } = recorder();
  for (let cycle = 0; cycle < 3; cycle++) {
    for (const labels of [POD, CONTAINER]) assert.equal(oversized.unlessTooLong(labels, tooLong), undefined);
  }
  const error = "Cannot read 7/net/dev: EMSGSIZE (message too long)";
  assert.deepEqual(lines, [
    ["left out", { namespace: "shop", pod: "web", error }],
    ["left out", { namespace: "shop", pod: "web", container: "app", error }],
  ]);
});

for (const error of [new NativeError("read", EACCES), new Error("Cannot look into containers")]) {
  Deno.test(`what fails otherwise fails: ${error.message}`, () => {
    const { lines, oversized } = recorder();
    assert.throws(() =>
      oversized.unlessTooLong(POD, () => {
        throw error;
      }), error);
    assert.deepEqual(lines, []);
  });
}
