/** Which capabilities a process has, or may come to have, by the text of its status. */
import assert from "node:assert/strict";
import { hasCapability, mayHaveCapability } from "../../src/native/capabilities.ts";

const NONE = "0000000000000000";
const ALL = "000001ffffffffff";
/** What runtimes leave a container by default, without SYS_ADMIN. */
const DEFAULT = "00000000a80425fb";
const SYS_ADMIN = "0000000000200000";

function status(inherited: string, permitted: string, effective: string, bounding: string): string {
  return `Name:\tx\nCapInh:\t${inherited}\nCapPrm:\t${permitted}\nCapEff:\t${effective}\nCapBnd:\t${bounding}\nCapAmb:\t${NONE}\n`;
}

const STATUSES: readonly [what: string, text: string, has: boolean, mayHave: boolean][] = [
  ["root of the machine", status(NONE, ALL, ALL, ALL), true, true],
  ["a container's", status(NONE, DEFAULT, DEFAULT, DEFAULT), false, false],
  ["a user without any, who may run what root has set up", status(NONE, NONE, NONE, ALL), false, true],
  ["a container's user", status(NONE, NONE, NONE, DEFAULT), false, false],
  ["one that has put it aside", status(NONE, SYS_ADMIN, NONE, DEFAULT), false, true],
  ["one whose programs may inherit it", status(SYS_ADMIN, NONE, NONE, DEFAULT), false, true],
  ["the runtime's, which has begun to drop them", status(NONE, ALL, ALL, DEFAULT), true, true],
  ["none at all", "", false, false],
];

for (const [what, text, has, mayHave] of STATUSES) {
  Deno.test(`a process ${has ? "has" : "has not"} SYS_ADMIN, and ${mayHave ? "may" : "may not"} have it: ${what}`, () => {
    assert.deepEqual([hasCapability(text, "SYS_ADMIN"), mayHaveCapability(text, "SYS_ADMIN")], [
      has,
      mayHave,
    ]);
  });
}
