/** What of the packages is shipped, under which licences, and that docs/licenses.md says so. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { LICENSES_PAGE, licensesPage } from "../../docs/licenses.ts";
import { OWN_LICENSE, unexpectedLicenses } from "../../native/supply/licenses.ts";
import { shippedPackages } from "../../native/supply/packages.ts";
import { project } from "./shipped_project.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

Deno.test("docs/licenses.md is what deno.lock and the packages say", () => {
  assert.equal(Deno.readTextFileSync(LICENSES_PAGE), licensesPage(), "run: deno task docs");
});

Deno.test("every package that is shipped is under a licence that is expected", () => {
  assert.deepEqual(unexpectedLicenses(shippedPackages(ROOT)), []);
});

for (const license of ["GPL-3.0-only", "(MIT OR GPL-3.0-only)", "UNLICENSED", "mit"]) {
  Deno.test(`a package under ${license} is noticed`, () => {
    const found = unexpectedLicenses([
      { name: "@scope/gift", version: "1.2.3", license },
      { name: "honest", version: "1.0.0", license: "MIT" },
    ]);
    assert.deepEqual(found, [
      `@scope/gift 1.2.3 is under ${license}: do without it, or add that to EXPECTED_LICENSES`,
    ]);
  });
}

Deno.test("the image's label names the agent's own licences", () => {
  const dockerfile = Deno.readTextFileSync(`${ROOT}/Dockerfile`);
  assert.ok(dockerfile.includes(`org.opencontainers.image.licenses="${OWN_LICENSE}"`));
});

Deno.test("what is shipped is what Deno itself finds from mod.ts on", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "mod.ts"],
    cwd: ROOT,
  })
    .output();
  const { modules, npmPackages } = JSON.parse(new TextDecoder().decode(stdout)) as {
    modules: { npmPackage?: string }[];
    npmPackages: Record<string, { dependencies: string[]; localPath: string }>;
  };
  const keys = new Set(modules.flatMap(({ npmPackage }) => npmPackage ?? []));
  for (const key of keys) for (const needed of npmPackages[key]?.dependencies ?? []) keys.add(needed);
  const there = [...keys].filter((key) => existsSync(npmPackages[key]?.localPath ?? ""));
  assert.ok(there.length > 3, there.join());
  assert.deepEqual(shippedPackages(ROOT).map(({ key }) => key), there.toSorted());
});

Deno.test("of a project what its agent imports is shipped, and what that needs, on this platform", () => {
  using fake = project({
    imports: { near: "npm:near@1.0.0", "test-only": "npm:test-only@1.0.0" },
    packages: {
      "near@1.0.0": { license: "MIT", dependencies: ["far@2.0.0", "@scope/peer@1.0.0_near@1.0.0"] },
      "far@1.0.0": { license: "ISC" },
      "far@2.0.0": { license: "Apache-2.0", optionalDependencies: ["far-here", "far-elsewhere"] },
      "far-here@2.0.0": { license: "MIT", cpu: ["here"] },
      "far-elsewhere@2.0.0": { cpu: ["elsewhere"] },
      "@scope/peer@1.0.0_near@1.0.0": { license: "BSD-3-Clause" },
      "test-only@1.0.0": { license: "GPL-3.0-only", dependencies: ["far@1.0.0"] },
    },
  });
  const shipped = shippedPackages(fake.directory).map((
    { name, version, license, isDirect, dependencies },
  ) => [name, version, license, isDirect, dependencies.join()]);
  assert.deepEqual(shipped, [
    ["near", "1.0.0", "MIT", true, "far@2.0.0,@scope/peer@1.0.0_near@1.0.0"],
    ["far", "2.0.0", "Apache-2.0", false, "far-here@2.0.0"],
    ["far-here", "2.0.0", "MIT", false, ""],
    ["@scope/peer", "1.0.0", "BSD-3-Clause", false, ""],
  ]);
});

const TROUBLES = [
  {
    what: "is not installed",
    packages: { "near@1.0.0": {} },
    error: /^Error: Cannot find near 1\.0\.0 in .+\/node_modules: run `deno install`$/,
  },
  {
    what: "states no licence",
    packages: { "near@1.0.0": { license: null } },
    error: /^Error: Cannot tell the licence of near 1\.0\.0: its package\.json states null$/,
  },
  {
    what: "needs one that the lock file has twice",
    packages: { "near@1.0.0": { license: "MIT", dependencies: ["far"] }, "far@1.0.0": {}, "far@2.0.0": {} },
    error: /^Error: Cannot tell which package of deno\.lock "far" is: /,
  },
  {
    what: "needs one that the lock file has not",
    packages: { "near@1.0.0": { license: "MIT", dependencies: ["far"] } },
    error: /^Error: Cannot tell which package of deno\.lock "far" is: /,
  },
];
for (const { what, packages, error } of TROUBLES) {
  Deno.test(`a package that ${what} is an error that names it`, () => {
    using fake = project({ imports: { near: "npm:near@1.0.0" }, packages });
    assert.throws(() => shippedPackages(fake.directory), error);
  });
}
