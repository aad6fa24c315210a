/**
 * The segments a network namespace has sent again: by the kernel's own counter, and by what the kernel tells
 * tracing programs. The two are the same but where a kernel runs no such program while certain tasks are current,
 * such as a hypervisor's agent: a timer that interrupts one of those is reported to nobody.
 */
import assert from "node:assert/strict";
import type { BpfObject } from "../../src/native/bpf.ts";
import { attachOwn } from "./own_object.ts";
import { until } from "./until.ts";

/** How much of it a kernel that is known to withhold events may have withheld. */
const MOST_WITHHELD = 0.05;

export class RetransmitAccount implements Disposable {
  readonly #retransmits: BpfObject;
  readonly #runs: BpfObject;

  /** Counts from now on. */
  constructor() {
    this.#retransmits = attachOwn("retransmits", "count_segments", {});
    try {
      this.#retransmits.attach("count_synacks");
      this.#runs = attachOwn("unreported", "count_unreported", {});
    } catch (error) {
      this.#retransmits.close();
      throw error;
    }
  }

  /** What was reported of the network namespace of a process. */
  reported(pid: number): number {
    const space = Deno.statSync(`/proc/${pid}/ns/net`).ino;
    const entry = this.#retransmits.readMap("retransmits").find(({ key }) => Number(key) === space);
    return Number(entry?.value ?? 0);
  }

  /** Whether the kernel has provably withheld events since the start: a task left a CPU that it was not seen to take. */
  get withholds(): boolean {
    return this.#runs.readMap("unreported").some(({ value }) => Number(value) > 0);
  }

  /**
   * Asserts that a count is what the kernel reports, and that this is what the kernel counts, of a process's network
   * namespace; all three from the start of this account.
   */
  async assertAgrees(name: string, pid: number, counted: () => number, witness: () => number): Promise<void> {
    const agree = () => counted() === this.reported(pid) && (this.withholds || counted() === witness());
    // Asserted after the wait, which cannot say by how much they differ.
    await until("they agree", agree).catch(() => {});
    assert.equal(counted(), this.reported(pid), name);
    this.assertReported(name, this.reported(pid), witness());
  }

  /** Asserts that what was reported is what the kernel counts, or less where it provably withholds events. */
  assertReported(name: string, reported: number, witness: number): void {
    if (!this.withholds) assert.equal(reported, witness, `${name}, as reported`);
    assert.ok(reported <= witness, `${name}: ${reported} reported, ${witness} counted`);
    const most = Math.ceil(witness * MOST_WITHHELD);
    assert.ok(witness - reported <= most, `${name}: ${reported} reported, ${witness} counted`);
  }

  [Symbol.dispose](): void {
    this.#retransmits.close();
    this.#runs.close();
  }
}
