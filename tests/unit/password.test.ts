/** Passwords against hashes that other programs made. */
import assert from "node:assert/strict";
import { NativeError } from "../../src/native/error.ts";
import { passwordFits } from "../../src/native/password.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Those with a cost of 5 are known answers of other implementations, the others are from `htpasswd -B`. */
for (
  const [hash, password] of [
    ["$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"],
    ["$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy", ""],
    ["$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze", "alice123"],
    ["$2y$10$hLqFl9jSjoAAy95Z/zw8Ye8wkdMBM8c5Bn1ptYqP/AXyV0.oy0S8m", "bob123"],
  ] as const
) {
  Deno.test(`${JSON.stringify(password)} fits ${hash}, and nothing else does`, async () => {
    assert.equal(await passwordFits(hash, bytes(password)), true);
    for (const other of [`${password}x`, `${password}\0`, `${password}\0x`, "\0", "Ü", "alice124"]) {
      assert.equal(await passwordFits(hash, bytes(other)), false, JSON.stringify(other));
    }
  });
}

Deno.test("passwords are bytes, and compared beside one another", async () => {
  const hash = "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e";
  // No text in UTF-8.
  const answers = await Promise.all(
    [0xa3, 0xa4, 0xa3].map((byte) => passwordFits(hash, Uint8Array.of(0xff, 0xff, byte))),
  );
  assert.deepEqual(answers, [true, false, true]);
});

Deno.test("a hash that libcrypt cannot use is an error", async () => {
  const hash = "$2y$99$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze";
  await assert.rejects(
    passwordFits(hash, bytes("a")),
    (error) => error instanceof NativeError && error.code === "EINVAL" && /libcrypt/.test(error.message),
  );
});
