/** How much memory clients can take that do not read their answers. */
import assert from "node:assert/strict";
import type { LogFields, Logger } from "../../src/log.ts";
import type { Connection } from "../../src/web/connection_watch.ts";
import { UnreadAnswers } from "../../src/web/unread_answers.ts";

/** Connections by the port of their client, and what each has read. */
function watched(acknowledged: Record<number, number>) {
  const dropped: number[] = [];
  const warnings: LogFields[] = [];
  let looks = 0;
  const log = { warn: (_: string, fields: LogFields) => void warnings.push(fields) } as unknown as Logger;
  const table = {
    atMost: () => Infinity,
    list: (): Connection[] => {
      looks++;
      return Object.entries(acknowledged).map(([port, bytes]) => ({
        id: BigInt(port),
        descriptor: 0,
        received: 0,
        acknowledged: bytes,
        unacknowledged: 0,
        quietMs: 0,
        peerPort: Number(port),
      }));
    },
    drop: ({ peerPort }: Connection) => {
      delete acknowledged[peerPort];
      dropped.push(peerPort);
    },
  };
  return {
    answers: new UnreadAnswers(table, log, 1_000),
    acknowledged,
    dropped,
    warnings,
    looks: () => looks,
  };
}

Deno.test("nothing is looked at before it can be too much", () => {
  const { answers, looks } = watched({ 1: 0 });
  for (let count = 0; count < 10; count++) answers.note(1, 100);
  assert.equal(looks(), 0);
  answers.note(1, 1);
  assert.equal(looks(), 1);
});

Deno.test("clients that read take nothing, however much they get", () => {
  const { answers, acknowledged, dropped } = watched({ 1: 0, 2: 0 });
  for (let count = 0; count < 100; count++) {
    answers.note(1, 300);
    // With its headers.
    acknowledged[1] = 310 * (count + 1);
    answers.note(2, 300);
    acknowledged[2] = 300 * count;
  }
  assert.deepEqual(dropped, []);
});

Deno.test("of clients that do not read those go that have most, until half is left", () => {
  const { answers, dropped, warnings } = watched({ 1: 0, 2: 0, 3: 0, 4: 900 });
  answers.note(1, 200);
  answers.note(4, 900);
  answers.note(2, 100);
  answers.note(3, 600);
  assert.deepEqual([dropped, warnings], [[], []], "900 are read");
  answers.note(2, 300);
  assert.deepEqual([dropped, warnings], [[3, 2], [{ bytes: 1_200 }]]);
});

Deno.test("what a client that is gone did not read is no more", () => {
  const { answers, acknowledged, dropped } = watched({ 1: 0, 2: 0 });
  answers.note(1, 900);
  delete acknowledged[1];
  answers.note(2, 600);
  assert.deepEqual(dropped, []);
  answers.note(2, 500);
  assert.deepEqual(dropped, [2]);
});

Deno.test("many answers on one connection count together", () => {
  const { answers, dropped } = watched({ 1: 0, 2: 0 });
  for (let stream = 0; stream < 9; stream++) answers.note(1, 100);
  answers.note(2, 101);
  assert.deepEqual(dropped, [1]);
});
