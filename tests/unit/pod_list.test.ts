/** The reading of the kubelet's answers in pieces, and what is kept from one to the next. */
import assert from "node:assert/strict";
import { PodListError, PodListParser } from "../../src/discovery/pod_list.ts";
import { readPodsText } from "../pods.ts";

const FIXTURES = `${import.meta.dirname}/../fixtures/kubelet-1.36/systemd`;

const podText = (name: string, more = "") =>
  `{"metadata":{"uid":"u-${name}","namespace":"shop","name":"${name}"${more}}}`;
const listText = (...pods: string[]) =>
  `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[${pods.join(",")}]}\n`;

Deno.test("a pod whose text is as before is the one read before, in whatever order; any other is read anew", () => {
  const parser = new PodListParser();
  const [a, b] = readPodsText(listText(podText("a"), podText("b")), parser).pods;
  const { pods } = readPodsText(
    listText(podText("b"), podText("c"), podText("a", ',"labels":{"x":"y"}')),
    parser,
  );
  assert.deepEqual(pods.map(({ name }) => name), ["b", "c", "a"]);
  assert.equal(pods[0], b, "the very one");
  assert.notEqual(pods[2], a);
  assert.deepEqual(pods[2]?.labels, { x: "y" });
  assert.notEqual(readPodsText(listText(podText("a")), parser).pods[0], a, "what was gone is forgotten");
});

Deno.test("an answer that breaks off or is refused leaves what is known of the last good one", () => {
  const parser = new PodListParser();
  const [a] = readPodsText(listText(podText("a")), parser).pods;
  parser.begin().push(new TextEncoder().encode(listText(podText("b")).slice(0, -20)));
  assert.throws(() => readPodsText(listText(podText("b"), "{]"), parser), PodListError);
  assert.throws(() => readPodsText(listText(podText("b")).replace("PodList", "Other"), parser), PodListError);
  assert.equal(readPodsText(listText(podText("a")), parser).pods[0], a);
});

Deno.test("a malformed pod is recorded each time, in its place", () => {
  const parser = new PodListParser();
  for (let time = 0; time < 2; time++) {
    const { pods, malformed } = readPodsText(listText("{}", podText("a"), "7", "{}"), parser);
    assert.deepEqual(pods.map(({ name }) => name), ["a"]);
    assert.deepEqual(malformed.map(({ pod }) => pod), ["items[0]", "items[2]", "items[3]"]);
  }
});

Deno.test("a real kubelet's answers one after the other are each read as if alone", async () => {
  const files: string[] = [];
  for (const sequence of ["seq-start", "seq-restart", "seq-remove", "seq-kubelet-restart"]) {
    for await (const { name } of Deno.readDir(`${FIXTURES}/${sequence}`)) {
      if (name.endsWith("-200.json")) files.push(`${sequence}/${name}`);
    }
  }
  assert.ok(files.length > 10);
  const parser = new PodListParser();
  let before = new Set<unknown>(), kept = 0;
  for (const file of files.sort()) {
    const text = await Deno.readTextFile(`${FIXTURES}/${file}`);
    const list = readPodsText(text, parser);
    assert.deepEqual(list, readPodsText(text), file);
    kept += list.pods.filter((pod) => before.has(pod)).length;
    before = new Set(list.pods);
  }
  assert.ok(kept > 30, `${kept} pods were as before`);
});

const ODD: readonly (readonly [what: string, text: string, names: readonly string[]])[] = [
  ["the list before the kind", `{"items":[${podText("a")}],"kind":"PodList"}`, ["a"]],
  ["spaces and line ends", JSON.stringify(JSON.parse(listText(podText("a"), podText("b"))), undefined, 4), [
    "a",
    "b",
  ]],
  ["an escaped key", listText(podText("a")).replace("items", "\\u0069tems"), ["a"]],
  ["lists of items elsewhere", listText(podText("a", ',"items":[{}],"x":"\\"items\\":[{"')), ["a"]],
  ["a list of items in the metadata", listText(podText("a")).replace("{}", '{"items":[{},{}]}'), ["a"]],
];

for (const [what, text, names] of ODD) {
  Deno.test(`an answer is read however it is written: ${what}`, () => {
    const { pods, malformed } = readPodsText(text);
    assert.deepEqual([pods.map(({ name }) => name), malformed], [names, []]);
  });
}

Deno.test("two lists of pods in one answer are refused, as nobody knows which is meant", () => {
  assert.throws(
    () => readPodsText(listText(podText("a")).replace('"metadata":{},', `"items":[${podText("b")}],`)),
    /^PodListError: a PodList with several lists of items$/,
  );
});
