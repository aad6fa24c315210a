/** Which container each cgroup counts for, over what a real kubelet answered and over stories made up. */
import assert from "node:assert/strict";
import type { ContainerCgroup } from "../../src/cgroup/hierarchy.ts";
import { capturedCgroups, capturedPods, cgroup, NodeStory, pod } from "./node_story.ts";

/** Nine sandboxes, and where the tree was read later than the list, the next instance of a crash loop. */
const UNNAMED = { systemd: 10, cgroupfs: 9 };

for (const driver of ["systemd", "cgroupfs"] as const) {
  Deno.test(`a node at rest: each listed container is a target and no sandbox is: ${driver}`, () => {
    const story = new NodeStory();
    const pods = capturedPods(`${driver}/steady/pods.json`);
    story.live = capturedCgroups(driver);
    story.answer(pods).cycle();
    const named = new Map(
      pods.flatMap(({ name, containers }) =>
        containers.flatMap(({ name: container, ids }) =>
          ids.map((id) => [id, `${name}/${container}`] as const)
        )
      ),
    );
    for (const each of story.live) assert.equal(story.nameOf(each), named.get(each.containerId));
    const expected = story.live.flatMap(({ containerId }) => named.get(containerId) ?? []);
    assert.deepEqual(story.names(), expected.sort());
    assert.equal(
      story.live.length - expected.length,
      UNNAMED[driver],
    );
    assert.equal(story.index.unattributed, 0);
  });
}

Deno.test("what has not changed is the same from cycle to cycle, and what has is not", () => {
  const story = new NodeStory();
  const [one, two] = [cgroup("u", "c1"), cgroup("u", "c2")];
  const pods = [pod("u", "web", { main: ["c1"] })];
  const all = () => [story.index.live(), story.index.livePods(), story.index.targets()] as const;
  const cycle = (live: readonly ContainerCgroup[], answer = pods) => {
    story.live = live;
    story.answer(answer).cycle();
    return all();
  };
  const first = cycle([one]);
  assert.deepEqual(first.map(({ length }) => length), [1, 1, 1]);
  assert.ok(cycle([one]).every((each, index) => each === first[index]));
  const second = cycle([one, two]);
  assert.deepEqual(second.map((each, index) => each === first[index]), [false, false, true]);
  assert.equal(second[0][0], first[0][0], "the cgroup itself is the same");
  const named = cycle([one, two], [pod("u", "web", { main: ["c1"], side: ["c2"] })]);
  assert.deepEqual(named.map((each, index) => each === second[index]), [false, false, false]);
  assert.deepEqual(named.map(({ length }) => length), [2, 1, 2]);
  const hidden = cycle([one, two], [{
    ...pod("u", "web", { main: ["c1"], side: ["c2"] }),
    hostNetwork: true,
  }]);
  assert.deepEqual(hidden.map((each, index) => each === named[index]), [true, false, true]);
  assert.equal(hidden[1][0]?.hostNetwork, true);
});

/** Where a captured container is at home, by the first digits of its id; a sandbox is in no list. */
const CAPTURED = capturedCgroups("systemd");
const captured = (digits: string) => {
  const found = CAPTURED.find(({ containerId }) => containerId.startsWith(digits));
  assert.ok(found, digits);
  return found;
};

Deno.test("pods that start get their names as the kubelet gives them, and nothing is there twice", () => {
  const story = new NodeStory();
  const start = (file: string) => capturedPods(`systemd/seq-start/${file}-200.json`);
  story.answer(start("002-t28.99")).cycle(1);
  assert.deepEqual(story.names(), []);
  assert.equal(story.index.wantsPoll, false);
  const sandboxes = ["79d9ca27c4", "bb12e66acc"].map(captured);
  story.live = sandboxes;
  story.cycle(1);
  assert.deepEqual([story.index.unattributed, story.index.wantsPoll], [2, true], "pods not listed yet");
  story.answer(start("003-t30.50")).cycle(1).answer(start("004-t31.41")).cycle(1);
  assert.deepEqual([story.index.unattributed, story.index.wantsPoll], [0, true], "no answer names them yet");
  const agent = captured("355d46a146");
  story.live = [...sandboxes, agent];
  story.cycle(30).answer(start("031-t64.25")).cycle(1);
  assert.equal(story.nameOf(agent), undefined, "the kubelet is behind the runtime");
  assert.equal(story.index.wantsPoll, true);
  story.live = CAPTURED;
  story.answer(start("041-t75.57")).cycle(10);
  assert.equal(story.nameOf(agent), "hostnet-node1/agent");
  story.answer(start("047-t81.91")).cycle(5);
  const running = ["hostnet-node1/agent", "noimage-node1/ok", "sidecar-node1/proxy", "stuckinit-node1/wait"];
  for (const name of running) assert.ok(story.names().includes(name), name);
  for (const sandbox of sandboxes) assert.equal(story.nameOf(sandbox), undefined);
});

Deno.test("a restarted container is the same target, whatever its cgroup", () => {
  const story = new NodeStory();
  const answer = (file: string) => story.answer(capturedPods(`systemd/seq-restart/${file}-200.json`));
  const before = captured("786aeb1eb4");
  story.live = [before];
  answer("001-t345.21").cycle();
  const target = story.index.resolve(before.id);
  assert.equal(target?.labels.container, "side");
  story.live = [];
  story.counted = [before];
  answer("003-t347.20").cycle(2);
  assert.equal(story.index.isLive(before.id), false);
  assert.equal(story.index.mayForget(before.id), true);
  const [{ containers: [, side] } = { containers: [] }] = capturedPods(
    "systemd/seq-restart/006-t350.40-200.json",
  ).filter(({ name }) => name === "guaranteed-node1");
  const after = cgroup(before.podUid, side?.ids[0] ?? "");
  story.live = [after];
  answer("006-t350.40").cycle(3);
  assert.equal(story.index.resolve(after.id), target);
  assert.equal(story.index.resolve(before.id), target);
  story.counted = [];
  story.cycle();
  assert.equal(story.index.resolve(before.id), undefined, "the kernel has no counts of it any more");
  assert.deepEqual(story.index.targets(), [target]);
});

Deno.test("a removed pod's series stay while it has a cgroup, and for the grace after that", () => {
  const story = new NodeStory();
  const answer = (file: string) => story.answer(capturedPods(`systemd/seq-remove/${file}-200.json`));
  const [idle, sandbox] = ["22e2cc154c", "b5fabe16be"].map(captured) as [ContainerCgroup, ContainerCgroup];
  story.live = [idle, sandbox];
  answer("001-t365.82").cycle();
  answer("002-t366.87").cycle(1);
  assert.deepEqual(story.names(), ["besteffort-node1/idle"], "its cgroup lives on");
  answer("008-t371.23").cycle(29);
  story.live = [sandbox];
  story.cycle(2);
  assert.deepEqual([story.names(), story.index.unattributed], [["besteffort-node1/idle"], 0]);
  story.live = [];
  story.cycle(1).cycle(59);
  assert.deepEqual(story.names(), ["besteffort-node1/idle"], "the grace is not over");
  assert.deepEqual(story.cycle(1).names(), []);
});

Deno.test("a restarted kubelet's empty and partial lists take no name away", () => {
  const story = new NodeStory();
  const files = ["001-t425.09", "004-t427.69", "005-t439.73", "006-t440.43"];
  story.live = CAPTURED.filter(({ containerId }) => !containerId.startsWith("786aeb1eb4"));
  let names: readonly string[] | undefined;
  for (const file of files) {
    story.answer(capturedPods(`systemd/seq-kubelet-restart/${file}-200.json`));
    // The partial list is held against the grace as well: three minutes of it.
    for (let cycle = 0; cycle < 6; cycle++) story.cycle();
    names ??= story.names();
    assert.ok(names.length >= 10);
    assert.deepEqual(story.names(), names, file);
    // One pod of the tree was removed before this kubelet was restarted, and this one never listed it.
    assert.equal(story.index.unattributed, 2, file);
  }
});

Deno.test("sandboxes ask for three answers, containers of unknown pods for as many as it takes", () => {
  const story = new NodeStory();
  const [web, sandbox, unknown] = [cgroup("web", "c1"), cgroup("web", "pause"), cgroup("other", "c2")];
  story.live = [web, sandbox];
  story.answer([pod("web", "web", { main: ["c1"] })]).cycle();
  const wanted = [1, 2, 3, 4].map(() => {
    const wants = story.index.wantsPoll;
    story.answer([pod("web", "web", { main: ["c1"] })]).cycle();
    return wants;
  });
  assert.deepEqual(wanted, [true, true, true, false]);
  story.live = [web, sandbox, unknown];
  for (let cycle = 0; cycle < 10; cycle++) {
    assert.equal(story.answer([pod("web", "web", { main: ["c1"] })]).cycle().index.wantsPoll, true);
  }
  assert.equal(story.index.unattributed, 1);
  story.answer([pod("web", "web", { main: ["c1"] }), pod("other", "other", { main: ["c2"] })]).cycle();
  assert.deepEqual([story.index.wantsPoll, story.index.unattributed], [false, 0]);
  assert.equal(story.nameOf(unknown), "other/main");
});

Deno.test("cycles without a new answer do not make a sandbox out of a container", () => {
  const story = new NodeStory().answer([pod("web", "web", {})]);
  story.live = [cgroup("web", "c1")];
  for (let cycle = 0; cycle < 10; cycle++) assert.equal(story.cycle(1).index.wantsPoll, true);
});

for (const kind of ["init", "ephemeral", "container"] as const) {
  Deno.test(`a container of kind ${kind} is a target, by its present id and by the one before`, () => {
    const story = new NodeStory();
    const [now, before] = [cgroup("web", "now"), cgroup("web", "before")];
    story.live = [now];
    story.counted = [before];
    story.answer([pod("web", "web", { each: ["now", "before"] }, kind)]).cycle();
    assert.equal(story.nameOf(now), "web/each");
    assert.equal(story.index.resolve(before.id), story.index.resolve(now.id));
  });
}

Deno.test("a container known only from the kernel's maps is named, and kept until the kubelet had time to", () => {
  const story = new NodeStory();
  const [gone, nameless] = [cgroup("job", "c1"), cgroup("job", "never-listed")];
  story.counted = [gone, nameless];
  story.answer([]).cycle();
  assert.deepEqual([gone, nameless].map(({ id }) => story.index.mayForget(id)), [false, false]);
  assert.deepEqual([story.index.wantsPoll, story.index.unattributed], [true, 2]);
  story.answer([pod("job", "job", { main: ["c1"] })]).cycle();
  assert.deepEqual(story.names(), ["job/main"]);
  assert.deepEqual([gone, nameless].map(({ id }) => story.index.mayForget(id)), [true, false]);
  story.cycle(30);
  assert.equal(story.index.mayForget(nameless.id), false);
  story.cycle(1);
  assert.equal(story.index.mayForget(nameless.id), true, "the grace is over");
});

Deno.test("a cgroup that nobody knows may be forgotten, but not while it is unknown what exists", () => {
  const story = new NodeStory();
  assert.equal(story.index.mayForget(7n), false, "before anything was found out");
  story.cycle();
  assert.equal(story.index.mayForget(7n), true);
  story.index.keepUnknown();
  assert.equal(story.index.mayForget(7n), false);
  assert.equal(story.cycle().index.mayForget(7n), true);
});

/** A pod is replaced by one of the same name: what the kubelet lists then, in which order. */
const OLD = pod("old", "db-0", { main: ["c1"] });
const NEW = pod("new", "db-0", { main: ["c2"] });
const SUCCESSIONS = [
  { what: "once the old one is gone", lists: [[OLD], [], [NEW]] },
  { what: "at once, while the old one's cgroups live on", lists: [[OLD], [NEW], [NEW]] },
  { what: "while both are listed, in any order", lists: [[OLD], [OLD, NEW], [NEW, OLD], [OLD, NEW], [NEW]] },
];
for (const { what, lists } of SUCCESSIONS) {
  Deno.test(`a pod that comes back with another uid has the series from then on: ${what}`, () => {
    const story = new NodeStory();
    const [old, sandbox, successor] = [cgroup("old", "c1"), cgroup("old", "pause"), cgroup("new", "c2")];
    story.live = [old, sandbox];
    for (const list of lists) {
      if (list.includes(NEW)) story.live = [old, sandbox, successor];
      story.answer(list).cycle(1);
      assert.deepEqual(story.names(), ["db-0/main"]);
      const holder = list.includes(NEW) ? successor : old;
      assert.equal(story.nameOf(holder), "db-0/main");
      assert.equal(story.index.targets()[0], story.index.resolve(holder.id));
      assert.equal(story.index.unattributed, 0);
    }
    story.answer([NEW]).cycle(1).answer([NEW]).cycle(1);
    assert.equal(story.index.wantsPoll, false, "what is left of the old one asks for nothing");
  });
}

Deno.test("a static pod whose manifest is changed and changed back has its series again", () => {
  const story = new NodeStory();
  const [first, second, third] = [cgroup("old", "c1"), cgroup("new", "c2"), cgroup("old", "c3")];
  story.live = [first];
  story.answer([OLD]).cycle();
  story.live = [second];
  story.answer([NEW]).cycle();
  story.live = [third];
  story.answer([pod("old", "db-0", { main: ["c3", "c1"] })]).cycle();
  assert.equal(story.nameOf(third), "db-0/main");
  assert.deepEqual(story.names(), ["db-0/main"]);
});

Deno.test("a container that restarts for ever leaves no instances behind", () => {
  const story = new NodeStory();
  const seen = [];
  for (let instance = 1; instance <= 50; instance++) {
    const each = cgroup("web", `c${instance}`);
    seen.push(each);
    story.live = [each];
    story.answer([pod("web", "web", { main: [`c${instance}`, `c${instance - 1}`] })]).cycle();
  }
  assert.deepEqual(story.names(), ["web/main"]);
  assert.deepEqual(seen.filter(({ id }) => story.index.resolve(id) !== undefined).length, 1);
  // An instance of long ago has no name any more; one of the last answer has.
  story.counted = [cgroup("web", "c3"), cgroup("web", "c49")];
  story.cycle();
  assert.deepEqual(story.counted.map((each) => story.nameOf(each)), [undefined, "web/main"]);
});

Deno.test("an instance named by one answer and found only at the next cycle still has its name", () => {
  const story = new NodeStory();
  story.answer([pod("web", "web", { main: ["c1"] })]).cycle();
  const quick = cgroup("web", "c1");
  story.counted = [quick];
  story.answer([pod("web", "web", { main: ["c3", "c2"] })]).cycle();
  assert.equal(story.nameOf(quick), "web/main");
});

Deno.test("names of an answer that another one replaced before the next cycle hold", () => {
  const story = new NodeStory().answer([]).cycle();
  const each = cgroup("job", "c1");
  story.index.learn([pod("job", "job", { main: ["c1"] })], story.now);
  story.counted = [each];
  story.answer([]).cycle();
  assert.equal(story.nameOf(each), "job/main");
});
