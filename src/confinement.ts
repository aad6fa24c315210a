/** The agent gives up what only its start needs, and says what it keeps. */
import type { Logger } from "./log.ts";
import { ownStatus } from "./native/capabilities.ts";
import { capabilitiesNeeded, dropPrivileges, needsText, type Work } from "./native/privileges.ts";

export class Confinement {
  readonly #log: Pick<Logger, "info" | "warn">;
  #isDone = false;
  #isFinal = false;

  constructor(log: Pick<Logger, "info" | "warn">) {
    this.#log = log;
  }

  /** Whether no eBPF programs can be loaded any more. */
  get isFinal(): boolean {
    return this.#isFinal;
  }

  /** Gives up, once, all privileges but those that the work takes; what goes wrong is logged, and the work goes on. */
  confine(work: Work): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#isFinal = !work.programs;
    try {
      this.#drop(work);
    } catch (error) {
      this.#log.warn("privileges could not be dropped: the agent keeps what it has", {
        error: error instanceof Error ? error.message : String(error),
      });
    }
  }

  #drop(work: Work): void {
    const needs = capabilitiesNeeded(ownStatus(), work);
    // A thread that is bound by Landlock may not look into containers, whatever its capabilities.
    const { threads, left, deniesWrites } = dropPrivileges(
      needs.map(({ capability }) => capability),
      !work.containers,
    );
    this.#log.info("privileges are dropped", {
      kept: needsText(needs),
      threads,
      denies_writes: deniesWrites,
    });
    if (left === 0) return;
    this.#log.warn("threads that hang in the kernel keep their privileges until they get out", {
      threads: left,
    });
  }
}
