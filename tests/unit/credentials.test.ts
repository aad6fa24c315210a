/** Who is let in by name and password, and what that costs. */
import assert from "node:assert/strict";
import { Attempts } from "../../src/web/attempts.ts";
import { BasicAuthentication, type Verdict } from "../../src/web/credentials.ts";

const USERS = new Map([["alice", "hash of wonder:land"], ["björn", "hash of honig"], ["empty", "hash of "]]);

function basic(text: string): string {
  return `Basic ${new TextEncoder().encode(text).toBase64()}`;
}

/** An authentication, and the comparisons it makes. */
function authentication(compare = (hash: string, password: string) => hash === `hash of ${password}`) {
  const compared: string[] = [];
  const fits = async (hash: string, password: Uint8Array) => {
    const text = new TextDecoder().decode(password);
    compared.push(`${hash} / ${text}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
    return compare(hash, text);
  };
  const attempts = new Attempts({ most: 16, mostOfPeer: 16, pauseFactor: 0 });
  const authentication = new BasicAuthentication(USERS, fits, attempts);
  return {
    compared,
    check: (header: string | null, peer = "10.0.0.1") => authentication.check(header, peer),
  };
}

for (
  const [header, verdict, comparisons] of [
    [basic("alice:wonder:land"), "accepted", 1],
    [basic("björn:honig"), "accepted", 1],
    [basic("empty:"), "accepted", 1],
    [basic("alice:wonder:land").replace("Basic", "bAsIc  "), "accepted", 1],
    [basic("alice:wonder"), "refused", 1],
    [basic("alice:"), "refused", 1],
    [basic("Alice:wonder:land"), "refused", 1],
    [basic("nobody:wonder:land"), "refused", 1],
    [basic(":"), "refused", 1],
    [basic("alice"), "refused", 0],
    [null, "refused", 0],
    ["", "refused", 0],
    ["Basic", "refused", 0],
    ["Basic ", "refused", 0],
    ["Basic !!!", "refused", 0],
    ["Basic YTpi YTpi", "refused", 0],
    [basic("alice:wonder:land").replace("Basic", "Bearer"), "refused", 0],
  ] as readonly (readonly [string | null, Verdict, number])[]
) {
  Deno.test(`Authorization: ${header ?? "none"} is ${verdict} after ${comparisons} comparisons`, async () => {
    const { check, compared } = authentication();
    assert.equal(await check(header), verdict);
    assert.equal(compared.length, comparisons);
    assert.equal(await check(header), verdict, "the second time");
    assert.equal(compared.length, comparisons, "it is known by now");
  });
}

Deno.test("for a name there is not one of the hashes is compared, always the same", async () => {
  const { check, compared } = authentication();
  for (let attempt = 0; attempt < 20; attempt++) await check(basic(`nobody:${attempt}`));
  const hashes = new Set(compared.map((line) => line.split(" / ")[0]));
  assert.equal(hashes.size, 1);
  assert.ok([...hashes].every((hash) => [...USERS.values()].includes(hash ?? "")));
});

Deno.test("a name there is not is refused even with the password of the user whose hash is compared", async () => {
  const { check } = authentication(() => true);
  assert.equal(await check(basic("nobody:anything")), "refused");
});

Deno.test("whoever asks at the same time with the same is compared once", async () => {
  const { check, compared } = authentication();
  const verdicts = await Promise.all(Array.from({ length: 50 }, () => check(basic("alice:wonder:land"))));
  assert.deepEqual(new Set(verdicts), new Set(["accepted"]));
  assert.equal(compared.length, 1);
});

Deno.test("what was accepted stays known however many wrong passwords come", async () => {
  const { check, compared } = authentication();
  await check(basic("alice:wonder:land"));
  for (let attempt = 0; attempt < 300; attempt++) await check(basic(`alice:${attempt}`));
  const before = compared.length;
  assert.equal(await check(basic("alice:wonder:land")), "accepted");
  assert.equal(await check(basic("alice:299")), "refused");
  assert.equal(compared.length, before);
  assert.equal(await check(basic("alice:0")), "refused");
  assert.equal(compared.length, before + 1, "of the refused only the latest are kept");
});

Deno.test("whoever is one too many is told so, and not that the password is wrong", async () => {
  const attempts = new Attempts({ most: 1, mostOfPeer: 1, pauseFactor: 0 });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const authentication = new BasicAuthentication(USERS, () => promise, attempts);
  const first = authentication.check(basic("alice:1"), "10.0.0.1");
  assert.equal(await authentication.check(basic("alice:2"), "10.0.0.2"), "busy");
  resolve(true);
  assert.equal(await first, "accepted");
  assert.equal(await authentication.check(basic("alice:2"), "10.0.0.2"), "accepted");
});

Deno.test("a comparison that cannot be made is an error, and is tried again", async () => {
  let broken = true;
  const { check } = authentication(() => {
    if (broken) throw new Error("no libcrypt");
    return true;
  });
  await assert.rejects(check(basic("alice:1")), /no libcrypt/);
  broken = false;
  assert.equal(await check(basic("alice:1")), "accepted");
});
