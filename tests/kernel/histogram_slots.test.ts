/** The slot of a duration in the kernel, against the definition: the smallest i with ns <= 10^9 * 2^(i-20). */
import assert from "node:assert/strict";
import { SLOTS } from "../../src/metrics/histogram.ts";
import { syscallNumber } from "../../src/syscalls.ts";
import { LabNode } from "../lab/node.ts";
import { Libc } from "./libc.ts";
import { attachOwn } from "./own_object.ts";
import { needsPrograms } from "./requirements.ts";
import { Watch } from "./watch.ts";

const RANDOM_VALUES = 10_000;
const LAST_SLOT = SLOTS - 1;

function slotOf(ns: bigint): number {
  let slot = 0;
  while (slot < LAST_SLOT && ns << 20n > 10n ** 9n << BigInt(slot)) slot++;
  return slot;
}

/** The longest whole duration in a slot, in ns. */
function boundOf(slot: number): bigint {
  return (10n ** 9n << BigInt(slot)) >> 20n;
}

function around(bound: bigint): bigint[] {
  return [bound - 1n, bound, bound + 1n];
}

/** As many short ones as long ones: a random number of random bits. */
function randomValue(): bigint {
  const [bits = 0n, shift = 0n] = crypto.getRandomValues(new BigUint64Array(2));
  return bits >> shift % 64n;
}

Deno.test("every duration has the slot of its definition", needsPrograms, () => {
  const bounds = Array.from({ length: SLOTS }, (_, slot) => boundOf(slot));
  const values = new Set([
    ...[0n, 1n, 1n << 40n, 1n << 63n, (1n << 64n) - 1n],
    ...bounds.flatMap(around),
    ...Array.from({ length: 64 }, (_, bit) => 1n << BigInt(bit)).flatMap(around),
    ...Array.from({ length: RANDOM_VALUES }, randomValue),
  ].map((value) => BigInt.asUintN(64, value)));
  // A call that Deno does not make, and that does nothing but fail for what is no process id.
  const call = syscallNumber(Deno.build.arch, "getpgid") ?? -1;
  using libc = new Libc();
  using object = attachOwn("slots", "take_value", {
    process: new Uint32Array([Deno.pid]),
    call: new BigUint64Array([BigInt(call)]),
  });
  for (const value of values) libc.syscall(call, value);
  const slots = new Map(
    object.readMap("slots").map(({ key, value }) => [BigInt(key as number), Number(value)]),
  );
  const wrong = [...values].filter((value) => slots.get(value) !== slotOf(value));
  assert.deepEqual(wrong.map((value) => `${value} ns: ${slots.get(value)}, not ${slotOf(value)}`), []);
  assert.equal(slots.size, values.size);
  assert.equal(new Set(slots.values()).size, SLOTS, "not every slot was reached");
});

Deno.test("a sleep in a system call is in the slot of its length", needsPrograms, async () => {
  await using node = await LabNode.start();
  const container = (await node.addPod({ name: "sleeper" })).container();
  using watch = new Watch(node, ["syscall"], { syscalls: ["nanosleep"] });
  const workload = await node.run(container, ["sleep-syscall", "--call", "nanosleep"]);
  const slots = () => {
    const counted = watch.counters("syscall", container, "nanosleep")["latency_slots"];
    return (counted ?? new Array(SLOTS).fill(0)) as number[];
  };
  let certain = 0;
  for (let slot = 7; slot <= 16; slot++) {
    // From the first whole microsecond above the bound below, which must not be in that slot any more.
    const usec = Number(boundOf(slot) / 1000n) + 1;
    for (const length of [usec, Math.trunc(usec * 1.4)]) {
      const before = slots();
      const answer = await workload.go(1, length);
      const after = slots();
      const seen = after.flatMap((count, index) => new Array(count - (before[index] ?? 0)).fill(index));
      // The kernel's time is at least what was asked for, and no more than the process itself saw.
      const least = slotOf(BigInt(length) * 1000n), most = slotOf(BigInt(answer["ns"] ?? 0));
      assert.equal(seen.length, 1, `${length} us: ${seen}`);
      assert.ok(
        least <= seen[0] && seen[0] <= most,
        `${length} us: slot ${seen[0]}, not ${least} to ${most}`,
      );
      certain += Number(least === most);
    }
  }
  assert.ok(certain >= 1, "no sleep was short enough to know its slot");
});
