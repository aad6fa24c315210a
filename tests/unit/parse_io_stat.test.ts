import assert from "node:assert/strict";
import { type DeviceIo, parseIoStat } from "../../src/parse/io_stat.ts";
import { kernelFile, LIMITED, ROOT, WRITER } from "./kernel_files.ts";

const IO = { readBytes: 1, writtenBytes: 2, reads: 3, writes: 4 };
const KEYS = "rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6";

Deno.test("a container's io.stat is read", () => {
  assert.deepEqual(parseIoStat(kernelFile(WRITER, "io.stat")), {
    devices: new Map([["254:0", { readBytes: 4096, writtenBytes: 101711872, reads: 1, writes: 111 }]]),
    skipped: 0,
  });
});

Deno.test("the io.stat of a container that did no I/O is empty", () => {
  assert.deepEqual(parseIoStat(kernelFile(LIMITED, "io.stat")), { devices: new Map(), skipped: 0 });
});

Deno.test("the root's io.stat names a device that did nothing", () => {
  const text = kernelFile(ROOT, "io.stat");
  assert.match(text, /^11:0 $/m);
  const { devices, skipped } = parseIoStat(text);
  assert.deepEqual([...devices.keys()], ["254:32", "254:16", "254:0"]);
  assert.equal(devices.get("254:0")?.writes, 8813);
  assert.equal(skipped, 0);
});

const KERNELS: readonly {
  what: string;
  text: string;
  devices: Record<string, DeviceIo>;
  skipped?: number;
}[] = [
  {
    what: "keys in another order",
    text: "8:0 dios=6 wios=4 rios=3 dbytes=5 wbytes=2 rbytes=1\n",
    devices: { "8:0": IO },
  },
  {
    what: "Linux 5.0, which does not count discards",
    text: "8:0 rbytes=1 wbytes=2 rios=3 wios=4\n",
    devices: { "8:0": IO },
  },
  {
    what: "the keys of I/O controllers, with two spaces before them",
    text: `8:0 ${KEYS} use_delay=1 delay_nsec=9  cost.vrate=100.00 cost.usage=7 missed=1 depth=max\n`,
    devices: { "8:0": IO },
  },
  {
    what: "a device with nothing but a controller's keys",
    text: `8:16  cost.usage=0\n8:0 ${KEYS}\n`,
    devices: { "8:0": IO },
  },
  {
    what: "Linux 5.15, where idle devices do not end their line",
    text: `7:7 7:6 7:5 7:4 ${KEYS}\n8:0 ${KEYS}\n7:3 7:2 `,
    devices: { "7:4": IO, "8:0": IO },
  },
  {
    what: "several spaces, and device numbers of many digits",
    text: `259:1048575    ${KEYS.replaceAll(" ", "   ")}  \n`,
    devices: { "259:1048575": IO },
  },
  {
    what: "a device number that was used twice",
    text: `8:0 ${KEYS}\n8:0 rbytes=10 wbytes=20 rios=30 wios=40\n`,
    devices: { "8:0": { readBytes: 11, writtenBytes: 22, reads: 33, writes: 44 } },
  },
  {
    what: "the paths of a multipath NVMe, which have no number",
    text: `(unknown) ${KEYS}\n(unknown) \n259:3 ${KEYS}\n`,
    devices: { "259:3": IO },
    skipped: 1,
  },
];

for (const { what, text, devices, skipped = 0 } of KERNELS) {
  Deno.test(`io.stat is read with ${what}`, () => {
    assert.deepEqual(parseIoStat(text), { devices: new Map(Object.entries(devices)), skipped });
  });
}
