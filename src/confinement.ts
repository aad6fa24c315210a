/** The agent gives up what only its start needs, and says what it keeps. */
import type { Logger } from "./log.ts";
import { ownStatus } from "./native/capabilities.ts";
import { capabilitiesNeeded, dropPrivileges, needsText, type Work } from "./native/privileges.ts";

/** Gives up all privileges but those that the work takes; what goes wrong is logged, and the work goes on. */
export function confine(work: Work, log: Pick<Logger, "info" | "warn">): void {
  try {
    const needs = capabilitiesNeeded(ownStatus(), work);
    // A thread that is bound by Landlock may not look into containers, whatever its capabilities.
    const { threads, left, deniesWrites } = dropPrivileges(
      needs.map(({ capability }) => capability),
      !work.containers,
    );
    log.info("privileges are dropped", { kept: needsText(needs), threads, denies_writes: deniesWrites });
    if (left === 0) return;
    log.warn("threads that hang in the kernel keep their privileges until they get out", { threads: left });
  } catch (error) {
    log.warn("privileges could not be dropped: the agent keeps what it has", {
      error: error instanceof Error ? error.message : String(error),
    });
  }
}
