/** Something that goes wrong for a while, and how often that is logged. */
import type { LogFields, Logger } from "./log.ts";

/** How often a cause is logged at most, however often it comes and goes, in milliseconds. */
const AT_MOST_MS = 60 * 1000;

/** How often a cause that lasts is logged again, in milliseconds. */
const REMINDER_MS = 5 * 60 * 1000;

/**
 * A trouble is reported every time it is met, and ended every time it is not. It is logged when it begins, when its cause
 * changes, now and then while it lasts, and when it ends; the same cause once a minute at most, so that one
 * that comes and goes all the time fills no log. Times are milliseconds of a clock that never goes back.
 */
export class Trouble {
  readonly #log: Logger;
  readonly #level: "warn" | "error";
  readonly #over: string;
  /** When each cause was last logged; those a minute ago and longer matter only if they last. */
  readonly #logged = new Map<string, number>();
  #since: number | undefined;
  #times = 0;
  /** What was last logged of the trouble that lasts. */
  #told: string | undefined;

  /** `over` is what is logged when the trouble has ended. */
  constructor(log: Logger, over: string, level: "warn" | "error" = "warn") {
    this.#log = log;
    this.#over = over;
    this.#level = level;
  }

  /** Notes that it was met; `cause` tells one cause from another, and is `message` without what varies. */
  report(now: number, cause: string, message: string, fields: LogFields): void {
    this.#times++;
    this.#since ??= now;
    const logged = this.#logged.get(cause) ?? -Infinity;
    if (now - logged < (this.#told === cause ? REMINDER_MS : AT_MOST_MS)) {
      return this.#log.debug(message, fields);
    }
    for (const [other, time] of this.#logged) if (now - time >= AT_MOST_MS) this.#logged.delete(other);
    this.#logged.set(cause, now);
    this.#told = cause;
    this.#log[this.#level](message, { ...fields, times: this.#times });
  }

  /** Notes that it was not met. Returns whether there was anything to end. */
  end(now: number, fields: LogFields = {}): boolean {
    if (this.#since === undefined) return false;
    const lasted = { ...fields, seconds: Math.round((now - this.#since) / 1000), times: this.#times };
    this.#log[this.#told === undefined ? "debug" : "info"](this.#over, lasted);
    this.#since = this.#told = undefined;
    this.#times = 0;
    return true;
  }
}

/** A message as the cause it stands for: without the numbers and identifiers in it. */
export function causeIn(message: string): string {
  return message.replace(/[0-9a-f]*\d[0-9a-f]*/gi, "#");
}
