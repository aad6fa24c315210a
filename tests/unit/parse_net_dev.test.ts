import assert from "node:assert/strict";
import { parseNetDev } from "../../src/parse/net_dev.ts";
import { kernelFile, PROCESSES } from "./kernel_files.ts";

Deno.test("a pod's interfaces are read", () => {
  assert.deepEqual(parseNetDev(kernelFile(PROCESSES.writer, "net/dev")), {
    interfaces: new Map([
      ["lo", {
        rxBytes: 201400,
        rxPackets: 2602,
        rxErrors: 0,
        rxDrops: 0,
        txBytes: 201400,
        txPackets: 2602,
        txErrors: 0,
        txDrops: 0,
      }],
      ["eth0", {
        rxBytes: 161455,
        rxPackets: 1628,
        rxErrors: 0,
        rxDrops: 0,
        txBytes: 141881,
        txPackets: 1713,
        txErrors: 0,
        txDrops: 0,
      }],
    ]),
    skipped: 0,
  });
});

Deno.test("the host's interfaces are read", () => {
  const { interfaces, skipped } = parseNetDev(kernelFile(PROCESSES.hostNetwork, "net/dev"));
  assert.equal(interfaces.size, 11);
  assert.equal(skipped, 0);
  assert.equal(interfaces.get("cni0")?.txDrops, 2);
  assert.equal(interfaces.get("vethbaaf29e3")?.rxBytes, 138661);
});

Deno.test("each column is told by its place", () => {
  const { interfaces } = parseNetDev("eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
  assert.deepEqual(interfaces.get("eth0"), {
    rxBytes: 1,
    rxPackets: 2,
    rxErrors: 3,
    rxDrops: 4,
    txBytes: 9,
    txPackets: 10,
    txErrors: 11,
    txDrops: 12,
  });
});

const COLUMNS = "1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0";
const NAMES: readonly [what: string, line: string, name: string][] = [
  ["no space after the colon, as before Linux 3", `  eth0:${COLUMNS}`, "eth0"],
  ["an alias", `eth0:1: ${COLUMNS}`, "eth0:1"],
  ["an alias without space after the colon", `eth0:1:${COLUMNS}`, "eth0:1"],
  ["a name longer than its column", `enp0s31f6np0v12: ${COLUMNS}`, "enp0s31f6np0v12"],
  ["a VLAN", `eth0.100: ${COLUMNS}`, "eth0.100"],
  ["a bar in its name", `    a|b: ${COLUMNS}`, "a|b"],
  ["a name of digits", `     7: ${COLUMNS}`, "7"],
  ["a name beyond ASCII", `  é0: ${COLUMNS}`, "é0"],
];

for (const [what, line, name] of NAMES) {
  Deno.test(`an interface is read that has ${what}`, () => {
    const { interfaces, skipped } = parseNetDev(line + "\n");
    assert.deepEqual([...interfaces.keys()], [name]);
    assert.equal(interfaces.get(name)?.rxBytes, 1);
    assert.equal(interfaces.get(name)?.txBytes, 2);
    assert.equal(skipped, 0);
  });
}

Deno.test("a namespace without interfaces has none", () => {
  const headers = kernelFile(PROCESSES.writer, "net/dev").split("\n").slice(0, 2).join("\n") + "\n";
  assert.deepEqual(parseNetDev(headers), { interfaces: new Map(), skipped: 0 });
});

Deno.test("of a repeated interface the first line stands", () => {
  const { interfaces } = parseNetDev(`eth0: ${COLUMNS}\neth0: ${COLUMNS.replace("1", "9")}\n`);
  assert.equal(interfaces.get("eth0")?.rxBytes, 1);
});
