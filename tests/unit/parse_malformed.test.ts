import assert from "node:assert/strict";
import { flatKeyedValue } from "../../src/parse/flat_keyed.ts";
import { parseIoStat } from "../../src/parse/io_stat.ts";
import { parseMountInfo } from "../../src/parse/mountinfo.ts";
import { parseNetDev } from "../../src/parse/net_dev.ts";
import { parsePressure } from "../../src/parse/pressure.ts";
import { parseSingleValue } from "../../src/parse/single_value.ts";
import { kernelFile, LIMITED, PROCESSES, ROOT, WRITER } from "./kernel_files.ts";

/** What a file says, as pairs of a name and what it stands for. */
type Facts = [name: string, value: string][];

interface Parser {
  readonly facts: (text: string) => Facts;
  /** How many lines it says it did not understand, where it counts them. */
  readonly skipped?: (text: string) => number;
  readonly files: readonly [directory: string, name: string][];
  /** Text of which nothing is understood. */
  readonly malformed: Readonly<Record<string, string>>;
}

const of = (names: string[], ...directories: string[]) =>
  directories.flatMap((directory) => names.map((name): [string, string] => [directory, name]));
const json = ([name, value]: readonly [string, unknown]): [string, string] => [name, JSON.stringify(value)];

/** Every key of the captured flat keyed files. */
const FLAT_KEYS = new Set(
  ["cpu.stat", "memory.stat", "memory.events"].flatMap((name) =>
    [WRITER, LIMITED].flatMap((directory) =>
      kernelFile(directory, name).split("\n").map((line) => line.split(" ")[0] ?? "").filter(Boolean)
    )
  ),
);

const NET = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16";

const PARSERS: Readonly<Record<string, Parser>> = {
  "single value": {
    facts: (text) => {
      const value = parseSingleValue(text);
      return value === undefined ? [] : [["value", String(value)]];
    },
    files: of(["memory.current", "memory.max", "pids.current"], WRITER, LIMITED),
    malformed: {
      "no newline": "12",
      "two lines": "12\n12\n",
      "two values": "12 12\n",
      "a space before": " 12\n",
      "a space behind": "12 \n",
      "an empty line": "\n",
      "CRLF": "12\r\n",
      "negative": "-1\n",
      "a sign": "+1\n",
      "hexadecimal": "0x10\n",
      "an exponent": "1e3\n",
      "a fraction": "1.5\n",
      "an underscore": "1_000\n",
      "a leading zero": "012\n",
      "NaN": "NaN\n",
      "Infinity": "Infinity\n",
      "digits of another script": "１２\n",
      "a no-break space": "\u00a012\n",
      "a byte order mark": "\uFEFF12\n",
      "a NUL": "12\0\n",
      "a number too large": `1${"0".repeat(400)}\n`,
    },
  },
  "flat keyed": {
    facts: (text) =>
      [...FLAT_KEYS].flatMap((key) => {
        const value = flatKeyedValue(text, key);
        return value === undefined ? [] : [json([key, value])];
      }),
    files: of(["cpu.stat", "memory.stat", "memory.events"], WRITER, LIMITED),
    malformed: {
      "no newline": "anon 12",
      "no value": "anon\n",
      "an empty value": "anon \n",
      "no key": " 12\n",
      "two values": "anon 12 13\n",
      "two spaces": "anon  12\n",
      "a tab": "anon\t12\n",
      "CRLF": "anon 12\r\n",
      "negative": "anon -12\n",
      "max": "anon max\n",
      "NaN": "anon NaN\n",
      "hexadecimal": "anon 0xff\n",
      "a number too large": "anon 99999999999999999999999\n",
      "one more than 64 bits": "anon 18446744073709551616\n",
      "binary": "\x7fELF\x02\x01\0\0 \uFFFD\x03\n\0\0\n",
    },
  },
  "pressure": {
    facts: (text) => Object.entries(parsePressure(text)).filter(([, total]) => total !== undefined).map(json),
    files: [...of(["cpu.pressure", "io.pressure", "memory.pressure"], WRITER, LIMITED), [
      ROOT,
      "cpu.pressure",
    ]],
    malformed: {
      "no newline": "some avg10=0.00 total=12",
      "no total": "some avg10=0.00 avg60=0.00 avg300=0.00\nfull\n",
      "an empty total": "some total=\n",
      "two totals": "some total=1 total=2\n",
      "two lines in one": "some avg10=0.00 to=12full avg10=0.00 total=0\n",
      "a total that is cut in two": "some avg10=0.00 total=12 2523\n",
      "another share": "most total=12\n",
      "a space before": " some total=12\n",
      "CRLF": "some total=12\r\n",
      "negative": "some total=-12\n",
      "a fraction": "some total=1.5\n",
      "NaN": "some total=NaN\n",
      "a number too large": "some total=99999999999999999999999\n",
      "the error's text": "Operation not supported\n",
    },
  },
  "io.stat": {
    facts: (text) => [...parseIoStat(text).devices].map(json),
    skipped: (text) => parseIoStat(text).skipped,
    files: [...of(["io.stat"], WRITER, LIMITED, ROOT)],
    malformed: {
      "no newline": "8:0 rbytes=1 wbytes=2 rios=3 wios=4",
      "no device": "rbytes=1 wbytes=2 rios=3 wios=4\n",
      "a name as its device": "sda rbytes=1 wbytes=2 rios=3 wios=4\n",
      "half a device": "8: rbytes=1 wbytes=2 rios=3 wios=4\n",
      "a missing key": "8:0 rbytes=1 wbytes=2 rios=3\n",
      "a repeated key": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 wios=5\n",
      "an empty value": "8:0 rbytes=1 wbytes=2 rios=3 wios=\n",
      "a value that is cut in two": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 5\n",
      "two equals signs": "8:0 rbytes=1=1 wbytes=2 rios=3 wios=4\n",
      "a tab": "8:0\trbytes=1 wbytes=2 rios=3 wios=4\n",
      "CRLF": "8:0 rbytes=1 wbytes=2 rios=3 wios=4\r\n",
      "negative": "8:0 rbytes=-1 wbytes=2 rios=3 wios=4\n",
      "NaN": "8:0 rbytes=NaN wbytes=2 rios=3 wios=4\n",
      "a number too large": "8:0 rbytes=99999999999999999999999 wbytes=2 rios=3 wios=4\n",
      "a negative device": "-8:0 rbytes=1 wbytes=2 rios=3 wios=4\n",
      "names of object members": "8:0 constructor=1 __proto__=2 rios=3\n",
    },
  },
  "net/dev": {
    facts: (text) => [...parseNetDev(text).interfaces].map(json),
    skipped: (text) => parseNetDev(text).skipped,
    files: Object.values(PROCESSES).map((process) => [process, "net/dev"]),
    malformed: {
      "no newline": `eth0: ${NET}`,
      "a missing column": `eth0: ${NET.slice(0, -3)}\n`,
      "an extra column": `eth0: ${NET} 17\n`,
      "no colon": `eth0 ${NET}\n`,
      "no name": `: ${NET}\n`,
      "a name with a space": `eth 0: ${NET}\n`,
      "no columns": "eth0:\n",
      "tabs": `eth0:\t${NET.replaceAll(" ", "\t")}\n`,
      "CRLF": `eth0: ${NET}\r\n`,
      "negative": `eth0: -${NET}\n`,
      "NaN": `eth0: ${NET.replace("16", "NaN")}\n`,
      "a number too large": `eth0: 9999999999999999999999${NET}\n`,
      "binary": "\x7fELF\x02\x01\0\0:\uFFFD\x03\n",
    },
  },
  "mountinfo": {
    facts: (text) => parseMountInfo(text).mounts.map((m) => [`${m.mountId}`, `${m.parentId} ${m.device}`]),
    skipped: (text) => parseMountInfo(text).skipped,
    files: Object.values(PROCESSES).map((process) => [process, "mountinfo"]),
    malformed: {
      "no newline": "36 35 98:0 / /a rw - ext3 /dev/r rw",
      "no dash": "36 35 98:0 / /a rw ext3 /dev/r rw\n",
      "nothing behind the dash": "36 35 98:0 / /a rw -\n",
      "no superblock options": "36 35 98:0 / /a rw - ext3 /dev/r\n",
      "a missing column": "36 98:0 / /a rw - ext3 /dev/r rw\n",
      "an extra column": "36 35 34 98:0 / /a rw - ext3 /dev/r rw\n",
      "two spaces": "36 35  98:0 / /a rw - ext3 /dev/r rw\n",
      "a device that is cut in two": "36 35 98:0 1 / /a rw - ext3 /dev/r rw\n",
      "a device without minor": "36 35 98: / /a rw - ext3 /dev/r rw\n",
      "no root": "36 35 98:0  /a rw - ext3 /dev/r rw\n",
      "a relative mount point": "36 35 98:0 / a rw - ext3 /dev/r rw\n",
      "a mount point with a NUL": "36 35 98:0 / /a\0 rw - ext3 /dev/r rw\n",
      "a mount point with an escaped NUL": "36 35 98:0 / /a\\000b rw - ext3 /dev/r rw\n",
      "a negative id": "-1 35 98:0 / /a rw - ext3 /dev/r rw\n",
      "an id too large": "99999999999999999999999 35 98:0 / /a rw - ext3 /dev/r rw\n",
      "NaN": "36 NaN 98:0 / /a rw - ext3 /dev/r rw\n",
      "a line of /proc/mounts": "/dev/root / ext4 rw,noatime 0 0\n",
    },
  },
};

for (const [name, { facts, skipped, malformed }] of Object.entries(PARSERS)) {
  Deno.test(`${name}: nothing is read from an empty file`, () => {
    assert.deepEqual(facts(""), []);
    assert.equal(skipped?.("") ?? 0, 0);
  });
  for (const [what, text] of Object.entries(malformed)) {
    Deno.test(`${name}: nothing is read from ${what}`, () => {
      assert.deepEqual(facts(text), []);
      if (skipped) assert.ok(skipped(text) > 0, "it is counted");
    });
  }
}

/** Nothing that can stand for a digit or end a line; letters that JavaScript reads in numbers among it. */
const GARBAGE = [..."xen+-._=:| \t\r\0\\é５\uFFFD"];

/** Pseudorandom integers below a limit, the same each time (xorshift32, Marsaglia 2003). */
function randomFrom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

/** Ways to damage a file; the last two, done after another, could take a digit away without a trace. */
const DAMAGES = 6;
const DAMAGES_AFTERWARDS = 4;

/**
 * Damages a file so that the damage can be seen: digits may become garbage or be cut off with the end of the file,
 * but do not become other digits, and none is taken away from a number that stays a number.
 */
function damage(text: string, random: (limit: number) => number, ways: number): string {
  const at = random(text.length + 1);
  const garbage = GARBAGE[random(GARBAGE.length)] ?? "";
  const isDigit = /[0-9]/.test(text.charAt(at));
  const lines = text.split("\n");
  switch (random(ways)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + garbage + text.slice(at);
    case 2:
      return lines.toSpliced(random(lines.length), 1).join("\n");
    case 3:
      return lines.toSpliced(random(lines.length), 0, garbage.repeat(1 + random(9))).join("\n");
    case 4:
      return text.slice(0, at) + (isDigit && garbage === " " ? "x" : garbage) + text.slice(at + 1);
    default:
      return isDigit ? text : text.slice(0, at) + text.slice(at + 1);
  }
}

for (const [name, { facts, files }] of Object.entries(PARSERS)) {
  Deno.test(`${name}: whatever is still read from a damaged file was in the whole one`, () => {
    const random = randomFrom(20240229);
    let survived = 0;
    let lost = 0;
    for (const [directory, file] of files) {
      const text = kernelFile(directory, file);
      const whole = new Map(facts(text));
      const values = new Set(whole.values());
      for (let round = 0; round < 1500; round++) {
        const once = damage(text, random, DAMAGES);
        const damaged = round % 2 === 0 ? once : damage(once, random, DAMAGES_AFTERWARDS);
        const found = facts(damaged);
        for (const [key, value] of found) {
          const message = `${file}: ${key} = ${value} in ${JSON.stringify(damaged)}`;
          // A damaged name may pass for another one, but it stands for a number that was there.
          if (whole.has(key)) assert.equal(value, whole.get(key), message);
          else assert.ok(values.has(value), message);
        }
        survived += found.length;
        lost += Math.max(0, whole.size - found.length);
      }
    }
    assert.ok(survived > 0 && lost > 0, `${survived} values survived and ${lost} were lost`);
  });

  Deno.test(`${name}: noise is no trouble`, () => {
    const random = randomFrom(4);
    const alphabet = [
      ...GARBAGE,
      ..."0123456789",
      "\n",
      "\n",
      " ",
      " ",
      "some total=",
      "8:0 rbytes=",
      "lo: ",
    ];
    for (let round = 0; round < 2000; round++) {
      const noise = Array.from({ length: random(200) }, () => alphabet[random(alphabet.length)]).join("");
      for (const [, value] of facts(noise)) assert.doesNotMatch(value, /-|NaN|Infinity|null/, noise);
    }
  });
}
