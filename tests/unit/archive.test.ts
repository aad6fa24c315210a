/** Debian's archive, by what `apt-get indextargets` prints. */
import assert from "node:assert/strict";
import { archivesIn, mirrorOf } from "../archive.ts";

const MAIN = "Debian\thttp://one.example/debian/\tbookworm\tmain";
const UPDATES = "Debian\thttp://one.example/debian/\tbookworm-updates\tmain";
const SECURITY = "Debian\thttp://two.example/debian-security/\tbookworm-security\tmain";

const CASES: readonly (readonly [
  title: string,
  lines: readonly string[],
  suites: readonly string[],
  mirror: string | undefined,
])[] = [
  ["a release", [MAIN], ["bookworm"], "http://one.example/debian/"],
  [
    "security and updates come first",
    [SECURITY, UPDATES, MAIN],
    ["bookworm-security", "bookworm-updates", "bookworm"],
    "http://one.example/debian/",
  ],
  ["security alone", [SECURITY], ["bookworm-security"], undefined],
  ["another part", ["Debian\thttp://one.example/debian/\tbookworm\tnon-free"], [], undefined],
  ["another distribution", ["Ubuntu\thttp://one.example/ubuntu/\tnoble\tmain"], [], undefined],
  ["no lists", [], [], undefined],
];

for (const [title, lines, suites, mirror] of CASES) {
  Deno.test(`Debian's archive in apt's lists: ${title}`, () => {
    const archives = archivesIn(lines.map((line) => `${line}\n`).join(""));
    assert.deepEqual(archives.map(({ suite }) => suite), suites);
    assert.equal(mirrorOf(archives), mirror);
  });
}
