/** Random histories of a node: containers that start, count, end and restart, and a kubelet that lags behind. */
import assert from "node:assert/strict";
import type { ContainerCgroup } from "../../src/cgroup/hierarchy.ts";
import { KernelTotals } from "../../src/collectors/kernel_totals.ts";
import { FakeKernel, nameOf } from "./fake_kernel.ts";
import { cgroup, GRACE_MS, NodeStory, pod } from "./node_story.ts";
import { mulberry32 } from "../random.ts";

const MAP = "syscall";
const CALLS = [0, 1, 202];
const CYCLE_SECONDS = 5;

/** Cycles for which the kubelet's list is kept back, or empty: not so long that the grace would be over. */
const LONGEST_LAG = GRACE_MS / 1000 / CYCLE_SECONDS / 3;

interface Container {
  readonly pod: string;
  readonly name: string;
  /** Its instances' cgroups, the present one last. */
  readonly instances: ContainerCgroup[];
  isLive: boolean;
}

export class RandomNode {
  readonly #random: () => number;
  readonly #story = new NodeStory();
  readonly #totals = new KernelTotals(MAP);
  readonly #containers: Container[] = [];
  #kernel = new FakeKernel();
  #lag = 0;
  /** By `pod/container/call`: what was really counted, and what was last reported. */
  readonly #counted = new Map<string, number>();
  readonly #reported = new Map<string, number>();
  /** Values of the entries when they were last read. */
  #read = new Map<string, number>();

  constructor(seed: number) {
    this.#random = mulberry32(seed);
    for (const pod of ["a", "b", "c"]) {
      for (const name of ["main", "side"]) {
        this.#containers.push({ pod, name, instances: [], isLive: false });
      }
    }
    this.#watchDeletions();
  }

  /** Some of everything happens, and then a cycle runs. */
  step(): void {
    for (const container of this.#containers) {
      if (!container.isLive && this.#chance(0.3) && this.#isNamed(container)) this.#start(container);
      this.#count(container);
      if (container.isLive && this.#chance(0.2)) container.isLive = false;
    }
    if (this.#lag === 0) this.#answer();
    else if (this.#chance(0.3)) this.#story.answer([]);
    this.#cycle();
    if (this.#lag > 0) this.#lag--;
    else if (this.#chance(0.2)) this.#lag = Math.ceil(this.#random() * LONGEST_LAG);
    const named = this.#containers.every((container) => this.#isNamed(container));
    if (named && this.#chance(0.05)) this.#replacePrograms();
  }

  /** Everything ends and has its name: the totals are then exact, and the kernel holds nothing. */
  finish(): void {
    for (const container of this.#containers) container.isLive = false;
    this.#answer();
    for (let cycle = 0; cycle < 3; cycle++) this.#cycle();
    assert.deepEqual(
      [...this.#reported].sort(),
      [...this.#counted].filter(([, count]) => count > 0).sort(),
      "totals are not what was counted",
    );
    assert.equal(this.#kernel.size(MAP), 0, "the kernel still holds counts");
  }

  #start(container: Container): void {
    container.isLive = true;
    container.instances.push(cgroup(
      container.pod,
      `${container.pod}-${container.instances.length}` +
        container.name,
    ));
  }

  /** A container that has just ended may still count a little. */
  #count({ pod, name, instances, isLive }: Container): void {
    const present = instances.at(-1);
    for (const call of CALLS) {
      if (present === undefined || !this.#chance(isLive ? 0.5 : 0.05)) continue;
      const count = 1 + Math.floor(this.#random() * 1000);
      const key = { cgroup_id: present.id, number: call };
      const before = Number(this.#kernel.get(MAP, key)?.count ?? 0);
      this.#kernel.put(MAP, key, { count: before + count, slots: [before + count, 1] });
      const series = `${pod}/${name}/${call}`;
      this.#counted.set(series, (this.#counted.get(series) ?? 0) + count);
    }
  }

  #answer(): void {
    const names = new Set(this.#containers.map((container) => container.pod));
    this.#story.answer([...names].map((name) => {
      const containers = this.#containers.filter((container) => container.pod === name)
        .map((container) =>
          [container.name, container.instances.slice(-2).reverse().map((each) => each.containerId)] as const
        );
      return pod(name, name, Object.fromEntries(containers));
    }));
  }

  #cycle(): void {
    const instances = this.#containers.flatMap((container) => container.instances);
    this.#story.live = this.#containers.flatMap((container) =>
      container.isLive ? container.instances.slice(-1) : []
    );
    const held = new Set(this.#kernel.readMap(MAP).map(({ key }) => nameOf(key).split("/")[0]));
    this.#story.counted = instances.filter(({ id }) => held.has(`${id}`));
    this.#story.cycle(CYCLE_SECONDS);
    const totals = this.#totals.read({ programs: this.#kernel, targets: this.#story.index });
    this.#read = new Map(
      this.#kernel.readMap(MAP).map(({ key, value }) => [nameOf(key), Number(value.count)]),
    );
    for (const [{ labels }, calls] of totals) {
      for (const [call, { count }] of calls) {
        const series = `${labels.pod}/${labels.container}/${call}`;
        const before = this.#reported.get(series) ?? 0;
        assert.ok(Number(count) >= before, `${series} fell from ${before} to ${count}`);
        assert.ok(Number(count) <= (this.#counted.get(series) ?? 0), `${series} has more than was counted`);
        this.#reported.set(series, Number(count));
      }
    }
  }

  #watchDeletions(): void {
    this.#kernel.onDelete = (_, key) => {
      const id = BigInt(key.split("/")[0] ?? 0);
      assert.ok(
        !this.#story.live.some((each) => each.id === id),
        `${key} was deleted while its cgroup lived`,
      );
      assert.ok(this.#story.index.resolve(id), `${key} was deleted without a name`);
      const now = this.#kernel.readMap(MAP).find((entry) => nameOf(entry.key) === key)?.value.count;
      assert.equal(now, this.#read.get(key), `${key} was deleted while it was counting`);
    };
  }

  #replacePrograms(): void {
    this.#kernel = new FakeKernel();
    this.#read = new Map();
    this.#watchDeletions();
  }

  /** The kubelet names the present and the last instance only, so no other may be without a name. */
  #isNamed({ instances }: Container): boolean {
    const present = instances.at(-1);
    if (present === undefined) return true;
    const isHeld = this.#story.counted.includes(present);
    return !isHeld || this.#story.index.resolve(present.id) !== undefined;
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }
}
