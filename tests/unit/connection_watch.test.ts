/** Which connections have to go, as a story of what is seen of them. */
import assert from "node:assert/strict";
import type { LogFields, Logger } from "../../src/log.ts";
import { type Connection, ConnectionWatch } from "../../src/web/connection_watch.ts";

const LIMITS = { requestMs: 30_000, quietMs: 120_000, most: 100 };

/** A watch over connections that a test has in its hands, and of which it does not know how few there are. */
function watched({ atMost }: { atMost?: () => number } = {}) {
  const open = new Map<bigint, Connection>();
  const dropped: bigint[] = [];
  const warnings: LogFields[] = [];
  let looks = 0;
  const log = { warn: (_: string, fields: LogFields) => void warnings.push(fields) } as unknown as Logger;
  const watch = new ConnectionWatch(
    {
      atMost: atMost ?? (() => Infinity),
      list: () => {
        looks++;
        return [...open.values()];
      },
      drop: ({ id }) => {
        open.delete(id);
        dropped.push(id);
      },
    },
    log,
    LIMITS,
  );
  const see = (id: bigint, change: Partial<Connection> = {}) => {
    const before = open.get(id) ??
      { id, descriptor: 0, received: 0, acknowledged: 0, unacknowledged: 0, quietMs: 0, peerPort: 1 };
    open.set(id, { ...before, ...change });
  };
  return { open, dropped, warnings, see, watch, looks: () => looks };
}

type Step = readonly [atSeconds: number, change: Partial<Connection>];

const STORIES: readonly { what: string; steps: readonly Step[]; droppedAt: number | undefined }[] = [
  { what: "opens and says nothing", steps: [[0, {}], [30, {}], [31, {}]], droppedAt: 31 },
  {
    what: "sends a byte now and then and never a whole request",
    steps: [0, 10, 20, 30, 31].map((at) => [at, { received: at + 1, quietMs: 0 }]),
    droppedAt: 31,
  },
  {
    what: "asks again and again",
    steps: [0, 20, 40, 60, 80, 100].map((at) => [at, { received: at + 1, acknowledged: 10 * at + 1 }]),
    droppedAt: undefined,
  },
  {
    what: "is answered and then quiet",
    steps: [[0, { received: 9, acknowledged: 9 }], [60, { quietMs: 60_000 }], [120, { quietMs: 120_000 }], [
      121,
      { quietMs: 120_001 },
    ]],
    droppedAt: 121,
  },
  {
    what: "does not read its answer",
    steps: [
      [0, { received: 9 }],
      [1, { acknowledged: 5, unacknowledged: 100 }],
      [30, { quietMs: 29_000 }],
      [31, { quietMs: 30_000 }],
    ],
    droppedAt: 31,
  },
  {
    what: "reads a byte now and then",
    steps: [0, 10, 20, 30, 31].map((
      at,
    ) => [at, { received: 9, acknowledged: at + 1, unacknowledged: 1_000 - at }]),
    droppedAt: 31,
  },
  {
    what: "takes its time over a request after some that were answered",
    steps: [
      [0, { received: 9, acknowledged: 9 }],
      [100, { received: 10, quietMs: 0 }],
      [125, { received: 11 }],
      [131, { received: 12 }],
    ],
    droppedAt: 131,
  },
  {
    what: "asks for the next before it has been answered, and is answered both",
    steps: [
      [0, { received: 9, acknowledged: 9 }],
      [10, { received: 18, acknowledged: 12, unacknowledged: 6 }],
      [20, { received: 18, acknowledged: 18, unacknowledged: 0 }],
      [60, { quietMs: 40_000 }],
    ],
    droppedAt: undefined,
  },
  {
    what: "is given half an answer that it reads, and then the rest",
    steps: [
      [0, { received: 9, acknowledged: 5, unacknowledged: 4 }],
      [20, { acknowledged: 9, unacknowledged: 0 }],
      [40, { acknowledged: 12, unacknowledged: 3 }],
      [60, { acknowledged: 15, unacknowledged: 0 }],
    ],
    droppedAt: undefined,
  },
];

for (const { what, steps, droppedAt } of STORIES) {
  Deno.test(`a connection that ${what} is ${droppedAt === undefined ? "let be" : `dropped after ${droppedAt} s`}`, () => {
    const { see, watch, dropped } = watched();
    for (const [at, change] of steps) {
      see(1n, change);
      watch.sweep(at * 1_000);
      assert.deepEqual(dropped, at === droppedAt ? [1n] : [], `after ${at} s`);
    }
  });
}

Deno.test("of too many those go that did nothing for longest, and it is told once", () => {
  const { see, watch, dropped, warnings, open } = watched();
  for (let id = 0; id < 150; id++) see(BigInt(id), { received: 1, acknowledged: 1, quietMs: (id * 7) % 150 });
  watch.sweep(0);
  assert.equal(dropped.length, 50);
  assert.ok([...open.values()].every(({ quietMs }) => quietMs < 100));
  for (let id = 150; id < 160; id++) see(BigInt(id), { received: 1, acknowledged: 1 });
  watch.sweep(1_000);
  assert.equal(open.size, 100);
  assert.ok(open.has(159n), "the newest stays");
  assert.deepEqual(warnings, [{ open: 150, dropped: 50 }]);
});

Deno.test("what goes by itself makes room before anything is dropped", () => {
  const { see, watch, dropped } = watched();
  for (let id = 0; id < 100; id++) see(BigInt(id), { received: 1, acknowledged: 1, quietMs: 1_000 });
  for (let id = 100; id < 110; id++) see(BigInt(id), { received: 1, acknowledged: 1, quietMs: 120_001 });
  watch.sweep(0);
  assert.deepEqual(dropped.toSorted(), Array.from({ length: 10 }, (_, index) => BigInt(100 + index)));
});

Deno.test("when descriptors have run out only as many stay as is said", () => {
  const { see, watch, open } = watched();
  for (let id = 0; id < 50; id++) see(BigInt(id), { quietMs: id });
  watch.sweep(0, 16);
  assert.deepEqual([...open.keys()], Array.from({ length: 16 }, (_, index) => BigInt(index)));
});

Deno.test("a few are looked at now and then only, many each time", () => {
  let many = 32;
  const { watch, looks } = watched({ atMost: () => many });
  for (let second = 0; second < 20; second++) watch.sweep(second * 1_000);
  assert.equal(looks(), 2);
  many = 33;
  for (let second = 20; second < 25; second++) watch.sweep(second * 1_000);
  assert.equal(looks(), 7);
});
