/** Tools of the distribution: found, installed by a stand-in for apt, or asked for. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Tool } from "../../native/tools.ts";

const MODULE = new URL("../../native/tools.ts", import.meta.url).href;

/** Only root may install. */
const needsRoot = { ignore: Deno.uid() !== 0 };

/** A directory that is the whole search path, with programs that a test puts there. */
class Machine implements Disposable {
  readonly directory = Deno.makeTempDirSync();
  readonly bin = join(this.directory, "bin");

  constructor() {
    Deno.mkdirSync(this.bin);
  }

  /** Puts a shell script on the search path; `$BIN` is its directory, and each call is noted. */
  program(name: string, script = ""): void {
    const note = `echo "${name} $* $DEBIAN_FRONTEND" >> '${this.directory}/calls'`;
    Deno.writeTextFileSync(`${this.bin}/${name}`, `#!/bin/sh\nBIN='${this.bin}'\n${note}\n${script}\n`, {
      mode: 0o755,
    });
  }

  /** Calls of programs so far. */
  get calls(): string[] {
    try {
      return Deno.readTextFileSync(`${this.directory}/calls`).trim().split("\n").map((line) => line.trim());
    } catch {
      return [];
    }
  }

  /** Calls a function of the module in a process of its own. */
  async call(name: string, ...parameters: readonly unknown[]) {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        "--quiet",
        `import { ${name} } from ${JSON.stringify(MODULE)};
        console.log(JSON.stringify(await ${name}(...${JSON.stringify(parameters)})));`,
      ],
      env: { PATH: this.bin, NO_COLOR: "1" },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
    return { code, output: text(stdout), errors: text(stderr) };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.directory, { recursive: true });
  }
}

const HAMMER: Tool = { provides: "kpod-hammer", package: "hammers" };
const NAIL: Tool = { provides: "kpod-nail", package: "hammers" };
const INSTALLS = 'case "$1" in install) for tool in hammer nail; do : > "$BIN/kpod-$tool"; done ;; esac';

Deno.test("tools that are there are found on the path, as files, and nothing is said or run", async () => {
  using machine = new Machine();
  machine.program("apt-get");
  machine.program("kpod-hammer");
  const file = { provides: join(machine.bin, "kpod-hammer"), package: "hammers" };
  assert.deepEqual(await machine.call("ensureTools", [HAMMER], [file]), {
    code: 0,
    output: "undefined",
    errors: "",
  });
  assert.deepEqual(machine.calls, []);
});

Deno.test("where nothing can be installed the message says what to install, once a package", async () => {
  using machine = new Machine();
  const header = { provides: "/nowhere/header.h", package: "headers" };
  const { code, errors } = await machine.call("ensureTools", [HAMMER, NAIL], [header]);
  assert.equal(code, 1);
  assert.deepEqual(errors.split("\n"), [
    "Cannot find kpod-hammer, kpod-nail, /nowhere/header.h. Install the packages that have them, on Debian or Ubuntu by:",
    "  sudo apt-get install --yes --no-install-recommends hammers headers",
  ]);
});

Deno.test("root installs what is missing, without questions, and says so", needsRoot, async () => {
  using machine = new Machine();
  machine.program("apt-get", INSTALLS);
  const { code, errors } = await machine.call("ensureTools", [HAMMER, NAIL]);
  assert.deepEqual([code, errors], [0, "Cannot find kpod-hammer, kpod-nail: installing hammers"]);
  assert.deepEqual(machine.calls, [
    "apt-get update --quiet=2 noninteractive",
    "apt-get install --yes --no-install-recommends hammers --quiet=2 noninteractive",
  ]);
});

const FAILURES = [
  { what: "apt fails", script: "exit 100", message: /^Cannot install: "apt-get update --quiet=2" failed$/m },
  { what: "the package has it not", script: "", message: /^Cannot find kpod-hammer even after installing$/m },
];
for (const { what, script, message } of FAILURES) {
  Deno.test(`it ends with status 1 when ${what}`, needsRoot, async () => {
    using machine = new Machine();
    machine.program("apt-get", script);
    const { code, errors } = await machine.call("ensureTools", [HAMMER]);
    assert.equal(code, 1);
    assert.match(errors, message);
  });
}

Deno.test("tools are unpacked into a directory that the new search path begins with", async () => {
  using machine = new Machine();
  machine.program("apt-get", 'case "$1" in download) : > hammers_1.deb ;; esac');
  machine.program("dpkg", "/bin/mkdir -p usr/bin && : > usr/bin/kpod-hammer");
  const target = join(machine.directory, "unpacked");
  const call = () => machine.call("unpackTools", [HAMMER], target);
  const { code, output } = await call();
  assert.equal(code, 0);
  const path: string = JSON.parse(output);
  assert.ok(path.startsWith(`${target}/usr/bin:`) && path.endsWith(`:${machine.bin}`), path);
  assert.deepEqual([...Deno.readDirSync(target)].map(({ name }) => name), ["usr"]);
  const calls = machine.calls;
  assert.ok(calls.some((line) => line.startsWith("dpkg --extract hammers_1.deb .")), calls.join("\n"));
  await call();
  assert.deepEqual(machine.calls, calls, "what was unpacked is not unpacked again");
});

Deno.test("tools that cannot be had are left out, and the search path is good all the same", async () => {
  using machine = new Machine();
  const { code, output } = await machine.call("unpackTools", [HAMMER], join(machine.directory, "unpacked"));
  assert.equal(code, 0);
  assert.ok(JSON.parse(output).endsWith(`:${machine.bin}`));
});

Deno.test("tools on the search path are not unpacked", async () => {
  using machine = new Machine();
  machine.program("apt-get");
  machine.program("kpod-hammer");
  await machine.call("unpackTools", [HAMMER], join(machine.directory, "unpacked"));
  assert.deepEqual(machine.calls, []);
});
