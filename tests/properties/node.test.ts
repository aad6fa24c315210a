/** What tells containers: names of cgroups, the kubelet's answer, types and records of the programs. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { containerIdOf, isKubepodsRoot, podUidOf, qosOf } from "../../src/cgroup/path.ts";
import { readPods } from "../pods.ts";
import { parsePod, type Pod, type PodProblem } from "../../src/discovery/pod.ts";
import { type PodList, PodListError, PodListParser } from "../../src/discovery/pod_list.ts";
import { Btf } from "../../src/native/btf.ts";
import { Decoder } from "../../src/native/records.ts";
import { anyText, property, record, u64 } from "./property.ts";

const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));
const qos = fc.constantFrom(undefined, "burstable" as const, "besteffort" as const);
const uid = fc.oneof(fc.uuid(), hex(32));

property("a pod's directory is told by its uid, by either driver and in any class", [
  uid,
  qos,
  fc.constantFrom("", "kubelet-", "a-b_c-"),
], (
  uid,
  qos,
  root,
) => {
  const slice = `${root}kubepods${qos === undefined ? "" : `-${qos}`}`;
  assert.equal(podUidOf(`${slice}-pod${uid.replaceAll("-", "_")}.slice`), uid);
  assert.equal(podUidOf(`pod${uid}`), uid);
  assert.equal(isKubepodsRoot(`${root}kubepods.slice`), true);
  assert.equal(qosOf(`${slice}.slice`), qos);
  assert.equal(podUidOf(`${slice}.slice`), undefined);
});

property("a container's directory is told by its id, of any runtime", [
  fc.oneof(hex(64), hex(32)),
  fc.constantFrom("cri-containerd", "crio", "docker", "libpod"),
], (
  id,
  runtime,
) => {
  for (const name of [id, `${runtime}-${id}`, `${runtime}-${id}.scope`]) {
    assert.equal(containerIdOf(name), id);
  }
  for (const name of [`x${id}`, `${id}.mount`, `${runtime}-conmon-${id}.scope`, `${id}\n`]) {
    assert.equal(containerIdOf(name), undefined, name);
  }
});

property("any other name is nobody's, or what is told of it stands in it", [
  fc.oneof(
    fc.array(fc.constantFrom("kubepods", "-", "pod", ".slice", "burstable", "_", "a", "1", "\n")).map((
      parts,
    ) => parts.join("")),
    anyText,
  ),
], (name) => {
  const uid = podUidOf(name);
  assert.ok(uid === undefined || /^[0-9A-Za-z-]+$/.test(uid) && name.replaceAll("_", "-").includes(uid));
  const id = containerIdOf(name);
  assert.ok(id === undefined || /^[0-9a-f]{32,}$/.test(id) && name.includes(id));
  assert.equal(typeof isKubepodsRoot(name), "boolean");
});

const name = fc.stringMatching(/^[a-z][-a-z0-9]{0,8}$/);
const status = record({
  name,
  containerID: fc.oneof(hex(64).map((id) => `containerd://${id}`), fc.constant(""), fc.constant(undefined)),
});
const pod = record({
  metadata: record({
    ...{ uid: fc.uuid(), namespace: name, name },
    labels: fc.option(fc.dictionary(fc.oneof(name, fc.constantFrom("toString", "constructor")), anyText), {
      nil: undefined,
    }),
  }),
  spec: record({ hostNetwork: fc.option(fc.boolean(), { nil: undefined }) }),
  status: record({ containerStatuses: fc.option(fc.array(status, { maxLength: 3 }), { nil: null }) }),
});

/** As it comes over the network. */
const received = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

property(
  "each pod of an answer is read as it is, whatever stands beside it",
  [fc.array(fc.tuple(pod, fc.option(fc.jsonValue(), { nil: undefined })), { maxLength: 4 })],
  (given) => {
    const items = given.flatMap(([pod, other]) =>
      other === undefined ? [pod] : [{ ...pod, metadata: other }, pod]
    );
    const { pods, malformed } = readPods(received({ kind: "PodList", items }));
    assert.equal(malformed.length, items.length - given.length);
    assert.deepEqual(
      pods,
      given.map(([{ metadata, spec, status }]) => ({
        ...{ uid: metadata.uid, namespace: metadata.namespace, name: metadata.name },
        labels: received(metadata.labels ?? {}),
        hostNetwork: spec.hostNetwork ?? false,
        containers: (status.containerStatuses ?? []).map(({ name, containerID }) => ({
          ...{ name, kind: "container" },
          ids: containerID ? [containerID.replace("containerd://", "")] : [],
        })),
      })),
    );
  },
);

property("any JSON is an answer, or is refused in one line", [
  fc.oneof(fc.jsonValue(), record({ kind: fc.constantFrom("PodList", "x"), items: fc.jsonValue() })),
], (body) => {
  try {
    readPods(body);
  } catch (error) {
    assert.ok(error instanceof PodListError);
    assert.match(error.message, /^(?:no PodList but|a PodList) .+$/);
  }
});

const unescaped = fc.constantFrom(...'{}[],:"\\ 0a');
const strings = fc.oneof(anyText, fc.constantFrom("items", "kind", '"items":[', "{", "]", "\\"));
const someJson = fc.letrec((tie) => ({
  value: fc.oneof(
    strings,
    fc.jsonValue({ maxDepth: 1 }),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(strings, tie("value"), { maxKeys: 3 }),
  ),
})).value;
const items = fc.array(fc.oneof(someJson, pod), { maxLength: 5 });

/** What is read of an answer that arrives in pieces of `size` bytes; undefined where it is refused. */
function readInPieces(text: string, size: number): PodList | undefined {
  const bytes = new TextEncoder().encode(text);
  const reader = new PodListParser().begin();
  try {
    for (let from = 0; from < bytes.length; from += size) reader.push(bytes.subarray(from, from + size));
    return reader.end();
  } catch (error) {
    assert.ok(error instanceof PodListError, String(error));
    return undefined;
  }
}

/** The same by way of the whole answer as objects. */
function readWhole(text: string): PodList | undefined {
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (body?.kind !== "PodList" || body.items !== null && !Array.isArray(body.items)) return undefined;
  const parsed: (Pod | PodProblem)[] = (body.items ?? []).map(parsePod);
  return {
    pods: parsed.filter((item) => "uid" in item),
    malformed: parsed.flatMap((item, index) => "uid" in item ? [] : [{ pod: `items[${index}]`, ...item }]),
  };
}

property("an answer says the same in pieces of any size, with any spaces, other keys and damage", [
  fc.tuple(items, fc.dictionary(strings, someJson, { maxKeys: 2 }), fc.boolean(), fc.constantFrom(0, 1)),
  fc.integer({ min: 1, max: 200 }),
  fc.option(fc.tuple(fc.nat(), fc.boolean(), unescaped)),
], ([items, others, itemsFirst, spaces], size, damage) => {
  const list = itemsFirst ? { items, ...others, kind: "PodList" } : { kind: "PodList", ...others, items };
  let text = JSON.stringify(list, undefined, spaces).toWellFormed();
  if (damage !== null) {
    const [place, replaces, character] = damage;
    const at = place % text.length;
    text = (text.slice(0, at) + character + text.slice(at + (replaces ? 1 : 0))).toWellFormed();
  }
  assert.deepEqual(readInPieces(text, size), readWhole(text));
});

const decoder = new Decoder({ name: "value", size: 24, members: [["one", "u64", 0], ["more", "u64[2]", 8]] });

property("a map's counters are exact, wherever they lie", [fc.tuple(u64, u64, u64), fc.nat(7)], (
  counters,
  offset,
) => {
  const bytes = new Uint8Array(offset + 24).subarray(offset);
  const view = new DataView(bytes.buffer, offset);
  counters.forEach((counter, index) => view.setBigUint64(8 * index, counter, true));
  const read = decoder.decode(bytes, 0) as { one: bigint | number; more: (bigint | number)[] };
  assert.deepEqual([read.one, ...read.more].map(BigInt), counters);
});

const STRINGS = "\0.maps\0key\0value\0other\0";
const nameAt = (name: string) => STRINGS.indexOf(name);
const nameOffset = fc.constantFrom(0, ...[".maps", "key", "value", "other"].map(nameAt));
const typeId = fc.nat(10);
/** The words of one type, of every form there is, that names and refers to any. */
const btfType = fc.oneof(
  fc.tuple(nameOffset, fc.constant(1 << 24), fc.constantFrom(1, 4, 8), fc.nat()),
  fc.tuple(fc.constant(0), fc.constant(3 << 24), fc.constant(0), typeId, typeId, fc.nat(9)),
  fc.tuple(
    nameOffset,
    fc.constant(4 << 24 | 2),
    fc.nat(99),
    nameOffset,
    typeId,
    fc.nat(),
    nameOffset,
    typeId,
    fc.nat(),
  ),
  fc.tuple(nameOffset, fc.constantFrom(2 << 24, 8 << 24, 9 << 24), typeId),
  fc.tuple(nameOffset, fc.constant(14 << 24), typeId, fc.nat(1)),
  fc.tuple(fc.constant(1), fc.constant(15 << 24 | 1), fc.nat(), typeId, fc.nat(), fc.nat()),
  fc.tuple(nameOffset, fc.constantFrom(4 << 24, 5 << 24, 30 << 24), fc.integer()),
);

/** A map whose key and value are any of those that follow. */
const btfMap = fc.tuple(typeId, typeId).map(([key, value]) => [
  ...[1, 15 << 24 | 1, 0, 2, 0, 0],
  ...[nameAt("other"), 14 << 24, 3, 1],
  ...[0, 4 << 24 | 2, 16, nameAt("key"), 4, 0, nameAt("value"), 5, 64],
  ...[0, 2 << 24, key],
  ...[0, 2 << 24, value],
]);

property(
  "types that refer to any others, themselves among them, are read or refused",
  [btfMap, fc.array(btfType, { maxLength: 8 }), fc.nat(30)],
  (map, types, cut) => {
    const words = [...map, ...types.flat()];
    const strings = new TextEncoder().encode(STRINGS);
    const header = [0x0001eb9f, 24, 0, 4 * words.length, 4 * words.length, strings.length];
    const raw = new Uint8Array([
      ...new Uint8Array(Int32Array.from([...header, ...words]).buffer),
      ...strings,
    ]);
    try {
      new Btf(raw.subarray(0, raw.length - Math.max(cut - 20, 0))).mapLayouts();
    } catch (error) {
      assert.ok(error instanceof TypeError, String(error));
      assert.match(error.message, /^Cannot read BTF: /);
    }
  },
);

property("any bytes at all are refused likewise", [fc.uint8Array({ maxLength: 64 })], (bytes) => {
  const read = () => new Btf(Uint8Array.from([0x9f, 0xeb, ...bytes])).enumNames("x");
  assert.throws(read, /^TypeError: Cannot read BTF: /);
});
