/** The kernel's text files: printed as the kernel does and read back, and damaged in every way. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { cgroupPathOf } from "../../src/native/host_files.ts";
import { distinctFilesystems, eligibleMounts } from "../../src/parse/filesystems.ts";
import { flatKeyedValue } from "../../src/parse/flat_keyed.ts";
import { parseIoStat } from "../../src/parse/io_stat.ts";
import { type Mount, parseMountInfo } from "../../src/parse/mountinfo.ts";
import { parseNetDev } from "../../src/parse/net_dev.ts";
import { parsePressure } from "../../src/parse/pressure.ts";
import { parseSingleValue } from "../../src/parse/single_value.ts";
import { parseUnsigned } from "../../src/parse/text.ts";
import { anyText, device, key, property, record, u64 } from "./property.ts";

property(
  "a number of 64 bits is read exactly up to 2^53, and as the nearest double above",
  [u64],
  (number) => {
    const read = parseUnsigned(String(number));
    assert.equal(read, Number(number));
    if (number <= 2n ** 53n) assert.equal(BigInt(read ?? -1), number);
    assert.equal(parseSingleValue(`${number}\n`), read);
  },
);

property(
  "a text that is read as a number is that number's own",
  [
    fc.oneof(
      fc.bigInt(2n ** 64n - 9n, 2n ** 64n + 9n).map(String),
      fc.bigInt(0n, 2n ** 90n).map(String),
      fc.string({ unit: fc.constantFrom(..."0123456789+-.ex _n") }),
      anyText,
    ),
  ],
  (text) => {
    const read = parseUnsigned(text);
    if (read === undefined) return;
    assert.match(text, /^\d+$/);
    assert.equal(String(BigInt(text)), text);
    assert.ok(BigInt(text) < 2n ** 64n && read === Number(text));
  },
);

const flatFile = fc.uniqueArray(fc.tuple(key, u64), { selector: ([name]) => name });
const otherLines = fc.array(anyText.map((text) => `?${text.replaceAll("\n", "")}`), { maxLength: 4 });

property(
  "a flat keyed file has each key's value, in any order and among any other lines",
  [flatFile, otherLines, fc.infiniteStream(fc.nat())],
  (pairs, others, order) => {
    const lines = shuffled([...pairs.map(([name, value]) => `${name} ${value}`), ...others], order);
    const text = lines.map((line) => `${line}\n`).join("");
    for (const [name, value] of pairs) assert.equal(flatKeyedValue(text, name), Number(value));
    assert.equal(flatKeyedValue(text, "not_there_at_all"), undefined);
  },
);

property(
  "of a flat keyed file that is cut each value is whole or missing",
  [flatFile, fc.nat(400)],
  (pairs, cut) => {
    const text = pairs.map(([name, value]) => `${name} ${value}\n`).join("").slice(0, cut);
    for (const [name, value] of pairs) {
      assert.ok([undefined, Number(value)].includes(flatKeyedValue(text, name)), name);
    }
  },
);

const ioKeys = ["rbytes", "wbytes", "rios", "wios"] as const;

property(
  "an io.stat has each device's four numbers, in any order and among any other keys",
  [
    fc.uniqueArray(fc.tuple(device, fc.tuple(u64, u64, u64, u64), fc.array(fc.tuple(key, u64))), {
      selector: ([name]) => name,
    }),
    fc.infiniteStream(fc.nat()),
  ],
  (devices, order) => {
    const lines = devices.map(([name, values, others]) => {
      const own = ioKeys.map((ioKey, index) => `${ioKey}=${values[index]}`);
      return `${
        [name, ...shuffled([...own, ...others.map(([other, n]) => `x${other}=${n}`)], order)].join(" ")
      }\n`;
    });
    const { devices: read, skipped } = parseIoStat(shuffled(lines, order).join(""));
    assert.equal(skipped, 0);
    assert.equal(read.size, devices.length);
    for (const [name, [readBytes, writtenBytes, reads, writes]] of devices) {
      assert.deepEqual(read.get(name), {
        readBytes: Number(readBytes),
        writtenBytes: Number(writtenBytes),
        reads: Number(reads),
        writes: Number(writes),
      });
    }
  },
);

const HEADER = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
`;

/** What `dev_valid_name` in net/core/dev.c lets through. */
const interfaceName = fc.oneof(
  fc.constantFrom("lo", "eth0", "Inter-|", "face|", "1", "-", "__proto__"),
  fc.string({ unit: "binary", minLength: 1, maxLength: 5 }).map((text) => text.replaceAll(/[\s/:\0]/g, "x")),
);

property(
  "a net/dev has each interface's eight counters, whatever its name",
  [
    fc.uniqueArray(fc.tuple(interfaceName, fc.array(u64, { minLength: 16, maxLength: 16 })), {
      selector: ([name]) => name,
    }),
  ],
  (interfaces) => {
    const lines = interfaces.map(([name, numbers]) =>
      `${name.padStart(6)}: ${numbers.map((number) => String(number).padStart(7)).join(" ")}\n`
    );
    const { interfaces: read, skipped } = parseNetDev(HEADER + lines.join(""));
    assert.equal(skipped, 0);
    assert.deepEqual([...read.keys()], interfaces.map(([name]) => name));
    for (const [name, numbers] of interfaces) {
      const [rxBytes, rxPackets, rxErrors, rxDrops] = numbers.map(Number);
      const [txBytes, txPackets, txErrors, txDrops] = numbers.slice(8).map(Number);
      assert.deepEqual(read.get(name), {
        ...{ rxBytes, rxPackets, rxErrors, rxDrops },
        ...{ txBytes, txPackets, txErrors, txDrops },
      });
    }
  },
);

property(
  "a pressure file has the totals of the lines it has",
  [fc.option(u64, { nil: undefined }), fc.option(u64, { nil: undefined }), fc.boolean()],
  (some, full, reversed) => {
    const line = (share: string, total: bigint | undefined) =>
      total === undefined ? [] : [`${share} avg10=0.51 avg60=0.52 avg300=100.00 total=${total}\n`];
    const lines = [...line("some", some), ...line("full", full)];
    assert.deepEqual(parsePressure((reversed ? lines.reverse() : lines).join("")), {
      someSeconds: some === undefined ? undefined : Number(some) / 1e6,
      fullSeconds: full === undefined ? undefined : Number(full) / 1e6,
    });
  },
);

/** As the kernel's `seq_escape` writes bytes in octal: those that separate fields, of some filesystems all others. */
function escaped(text: string, which = /[ \t\n\\#]/g): string {
  return text.replaceAll(
    which,
    (character) =>
      [...new TextEncoder().encode(character)].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join(
        "",
      ),
  );
}

const noNul = anyText.map((text) => text.replaceAll("\0", ""));
const path = noNul.map((text) => `/${text}`);
const mount: fc.Arbitrary<Mount> = record({
  mountId: fc.nat(),
  parentId: fc.nat(),
  device,
  root: fc.oneof(path, fc.constant("net:[4026531840]")),
  mountPoint: path,
  isPropagated: fc.boolean(),
  fsType: key,
  source: noNul,
});

/** A mount with what is listed of it and not read. */
const listed = fc.record({ mount, options: fc.array(key), superOptions: fc.array(noNul) });

function mountLine({ mount, options, superOptions }: {
  readonly mount: Mount;
  readonly options: readonly string[];
  readonly superOptions: readonly string[];
}): string {
  return [
    ...[mount.mountId, mount.parentId, mount.device, escaped(mount.root), escaped(mount.mountPoint)],
    ...[["rw", ...options].join(","), ...(mount.isPropagated ? ["unbindable", "master:3"] : []), "-"],
    ...[
      mount.fsType,
      escaped(mount.source, /[^!-Z]/gu),
      superOptions.map((option) => escaped(option)).join(","),
    ],
  ].join(" ");
}

property("a mountinfo has each mount, whatever it is called: no name makes another line or field", [
  fc.array(listed, { maxLength: 6 }),
], (lines) => {
  assert.deepEqual(parseMountInfo(lines.map((each) => `${mountLine(each)}\n`).join("")), {
    mounts: lines.map(({ mount }) => mount),
    skipped: 0,
  });
});

property(
  "of mounts with any parents one is picked for each filesystem at most, whichever are files",
  [
    fc.array(fc.tuple(mount, fc.nat(5), fc.nat(5), fc.nat(3), fc.constantFrom("/", "/a", "/a/b", "/b")), {
      maxLength: 12,
    }),
    fc.boolean(),
  ],
  (given, isFile) => {
    const mounts = given.map(([mount, mountId, parentId, device, mountPoint]): Mount => ({
      ...{ ...mount, mountId, parentId, device: `0:${device}`, mountPoint },
    }));
    const picked = distinctFilesystems(eligibleMounts(mounts), () => isFile);
    assert.ok(picked.every((mount) => mounts.includes(mount)));
    assert.equal(new Set(picked.map(({ device }) => device)).size, picked.length);
  },
);

property(
  "the path of a cgroup v2 is found among any other hierarchies",
  [path.map((text) => text.replaceAll("\n", "")), fc.array(key), fc.nat(5)],
  (cgroup, others, at) => {
    const lines = others.map((name, index) => `${index + 1}:${name}:/${name}`).toSpliced(
      at,
      0,
      `0::${cgroup}`,
    );
    assert.equal(cgroupPathOf(lines.map((line) => `${line}\n`).join("")), cgroup);
  },
);

const damaged = fc.array(
  fc.oneof(
    fc.constantFrom(
      "some ",
      "full ",
      "total=",
      "8:0 ",
      "rbytes=",
      "wios=1",
      "eth0:",
      "anon ",
      " - ",
      "0::",
      "\n",
    ),
    u64.map(String),
    listed.map(mountLine),
    anyText,
  ),
).map((parts) => parts.join(""));

property("whatever a file says, nothing throws, and no number is negative or none", [damaged], (text) => {
  const numbers = [
    parseSingleValue(text),
    flatKeyedValue(text, "anon"),
    ...Object.values(parsePressure(text)),
    ...[...parseIoStat(text).devices.values()].flatMap((io) => Object.values(io)),
    ...[...parseNetDev(text).interfaces.values()].flatMap((counters) => Object.values(counters)),
    ...parseMountInfo(text).mounts.flatMap(({ mountId, parentId }) => [mountId, parentId]),
  ];
  for (const number of numbers) assert.ok(number === undefined || Number.isFinite(number) && number >= 0);
  distinctFilesystems(eligibleMounts(parseMountInfo(text).mounts));
  cgroupPathOf(text);
});

/** A permutation that the stream decides. */
function shuffled<Item>(items: readonly Item[], order: Iterator<number>): Item[] {
  return items.map((item) => ({ item, at: Number(order.next().value) })).sort((a, b) => a.at - b.at).map((
    each,
  ) => each.item);
}
