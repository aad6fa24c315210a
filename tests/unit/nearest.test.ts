import assert from "node:assert/strict";
import { nearest } from "../../src/nearest.ts";

const NAMES = ["read", "pread64", "preadv", "write", "openat", "openat2", "epoll_wait", "epoll_wait_old"];

for (
  const [word, expected, why] of [
    ["opnat", "openat", "a letter is missing"],
    ["openta", "openat", "two letters are swapped"],
    ["wrote", "write", "a letter is another"],
    ["readd", "read", "a letter is too many"],
    ["EPOLL_WAIT", "epoll_wait", "only the case differs"],
    ["pread", "preadv", "of equally near names the one that begins alike is meant"],
    ["epo", "epoll_wait", "a name begins with it"],
    ["futex", undefined, "nothing is near"],
    ["op", undefined, "two letters are the beginning of too much"],
    ["", undefined, "nothing was written"],
  ] as const
) {
  Deno.test(`"${word}" is taken for ${expected ?? "nothing"}: ${why}`, () => {
    assert.equal(nearest(word, NAMES), expected);
  });
}
