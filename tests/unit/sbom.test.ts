/** The bill of materials: valid by CycloneDX's own schema, and true to the lock file and the image. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import type { Bom } from "../../native/supply/bom.ts";
import { checkoutBom, imageBom } from "../../native/supply/sbom.ts";
import { project } from "./shipped_project.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const { npm } = JSON.parse(Deno.readTextFileSync(`${ROOT}/deno.lock`));

/** What is wrong with it by the schema, unknown properties included; `null` for nothing. */
function problems(bom: unknown): Promise<unknown> {
  return new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(JSON.stringify(bom));
}

/** An image with one package from npm and these records of Debian's. */
function image(records: Readonly<Record<string, string>>) {
  const fake = project({
    at: "/app",
    imports: { near: "npm:near@1.0.0" },
    packages: {
      "near@1.0.0": { license: "MIT", dependencies: ["@scope/far"] },
      "@scope/far@2.0.0-rc+1": { license: "MIT" },
    },
  });
  const files = {
    "usr/share/doc/deno/package.json": '{ "version": "2.0.7" }',
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
    ...Object.fromEntries(
      Object.entries(records).map(([name, record]) => [`var/lib/dpkg/status.d/${name}`, record]),
    ),
  };
  for (const [path, text] of Object.entries(files)) {
    const file = `${fake.directory}/${path}`;
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(file, text);
  }
  return fake;
}

const RECORDS = {
  libelf1: "Package: libelf1\nStatus: install ok installed\nArchitecture: arm64\n" +
    "Source: elfutils (0.188-2)\nVersion: 1:0.188-2.1+b1\n",
  zlib1g: "Package: zlib1g\nArchitecture: arm64\nVersion: 1.2.13\nDepends: libc6 (>= 2.14)\n",
};

Deno.test("the checkout's is valid, and an image's", async () => {
  using fake = image(RECORDS);
  assert.equal(await problems(checkoutBom()), null);
  assert.equal(await problems(imageBom(fake.directory)), null);
});

for (
  const { what, change } of [
    { what: "a licence that SPDX does not know", change: { licenses: [{ license: { id: "Nice" } }] } },
    { what: "a hash that is cut off", change: { hashes: [{ alg: "SHA-512", content: "abcd" }] } },
    { what: "a property of another format's", change: { checksum: "abcd" } },
  ]
) {
  Deno.test(`the schema refuses ${what}`, async () => {
    const bom = checkoutBom();
    assert.notEqual(await problems({ ...bom, components: [{ ...bom.components[0], ...change }] }), null);
  });
}

Deno.test("the checkout's has the lock file's versions and hashes, and the runtime that is asked for", () => {
  const { components, metadata } = checkoutBom();
  const { version, imports } = JSON.parse(Deno.readTextFileSync(`${ROOT}/deno.json`));
  assert.deepEqual([metadata.component.name, metadata.component.version], ["kpod-metrics", version]);
  const names = components.map(({ group, name }) => group === undefined ? name : `${group}/${name}`);
  for (const name of ["koffi", "prom-client", "zod", "deno"]) assert.ok(names.includes(name), names.join());
  for (const name of ["yaml", "ajv", "@cyclonedx/cyclonedx-library"]) {
    assert.ok(name in imports && !names.includes(name), `${name} is for tests`);
  }
  for (const [index, { version, hashes }] of components.entries()) {
    if (names[index] === "deno") continue;
    const hex = Uint8Array.fromBase64(npm[`${names[index]}@${version}`].integrity.slice("sha512-".length))
      .toHex();
    assert.deepEqual(hashes, [{ alg: "SHA-512", content: hex }], names[index]);
  }
  const dockerfile = Deno.readTextFileSync(`${ROOT}/Dockerfile`);
  const runtime = components.find(({ name }) => name === "deno");
  assert.ok(dockerfile.includes(`\nARG DENO_VERSION=${runtime?.version}\n`), runtime?.version);
});

Deno.test("an image's has what is in the image, by package URLs", () => {
  using fake = image(RECORDS);
  const { metadata, components, dependencies } = imageBom(fake.directory);
  const near = "pkg:npm/near@1.0.0";
  const far = "pkg:npm/%40scope/far@2.0.0-rc%2B1";
  const others = [
    "pkg:npm/deno@2.0.7",
    "pkg:deb/debian/libelf1@1:0.188-2.1%2Bb1?arch=arm64&distro=debian-12&upstream=elfutils",
    "pkg:deb/debian/zlib1g@1.2.13?arch=arm64&distro=debian-12&upstream=zlib1g",
  ];
  assert.equal(metadata.component.purl, "pkg:generic/kpod-metrics@1.2.3");
  assert.deepEqual(components.map(({ purl }) => purl), [near, far, ...others]);
  assert.deepEqual(dependencies, [
    { ref: metadata.component.purl, dependsOn: [near, ...others] },
    { ref: near, dependsOn: [far] },
    { ref: far, dependsOn: [] },
  ]);
  assert.deepEqual(components.map(({ licenses: [license] }) => license), [
    ...Array(3).fill({ license: { id: "MIT" } }),
    { expression: "LGPL-3.0-or-later OR GPL-2.0-or-later" },
    { license: { id: "Zlib" } },
  ]);
});

Deno.test("every reference is to one component, and each has a number of its own", () => {
  using fake = image(RECORDS);
  const bills: readonly Bom[] = [checkoutBom(), imageBom(fake.directory)];
  for (const { metadata, components, dependencies } of bills) {
    const refs = [metadata.component, ...components].map((each) => each["bom-ref"]);
    assert.equal(new Set(refs).size, refs.length);
    for (const ref of dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn])) {
      assert.ok(refs.includes(ref), ref);
    }
  }
  assert.notEqual(bills[0]?.serialNumber, checkoutBom().serialNumber);
});

Deno.test("a library that nobody has named a licence for is an error that names it", () => {
  using fake = image({ libnew2: "Package: libnew2\nArchitecture: amd64\nVersion: 2\n" });
  assert.throws(
    () => imageBom(fake.directory),
    /^Error: Cannot tell the licence of libnew2 in .+libnew2: add/,
  );
});

for (
  const { args, errors } of [
    {
      args: ["--root", "/nowhere"],
      errors: /^Cannot read the image in \/nowhere: .+\/app\/deno\.json'; unpack /,
    },
    { args: ["--rot", "/nowhere"], errors: /^Unknown option '--rot'/ },
    { args: ["one.json", "two.json"], errors: /^Unexpected argument "two\.json": one FILE at most$/ },
    { args: ["/nowhere/bom.json"], errors: /No such file .+'\/nowhere\/bom\.json'$/ },
  ]
) {
  Deno.test(`deno task sbom ${args.join(" ")} says in one line what is wrong`, async () => {
    const { code, said, written } = await sbom(...args);
    assert.match(said, errors);
    assert.deepEqual([code, said.split("\n").length, written], [1, 1, ""]);
  });
}

Deno.test("deno task sbom writes to standard output, or a file", async () => {
  const file = await Deno.makeTempFile({ suffix: ".json" });
  try {
    assert.deepEqual(await sbom(file), { code: 0, said: "", written: "" });
    const { written } = await sbom();
    const parts = (text: string) => (JSON.parse(text) as Bom).components;
    assert.deepEqual(parts(await Deno.readTextFile(file)), checkoutBom().components);
    assert.deepEqual(parts(written), checkoutBom().components);
  } finally {
    await Deno.remove(file);
  }
});

async function sbom(...args: string[]): Promise<{ code: number; said: string; written: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "sbom", ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const [written = "", said = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  return { code, said, written };
}
