/** What is too long to be read of one container harms that one alone, and is told once. */
import type { Logger } from "../log.ts";
import type { Labels } from "../metrics/family.ts";
import { NativeError } from "../native/error.ts";

export class Oversized {
  readonly #message: string;
  readonly #log: Pick<Logger, "warn">;
  readonly #told = new WeakSet<Labels>();

  /** `message` is what is then logged, with the labels of whose it is. */
  constructor(message: string, log: Pick<Logger, "warn">) {
    this.#message = message;
    this.#log = log;
  }

  /** What `read` returns; `undefined` where it fails as something is longer than anything that is read. */
  unlessTooLong<T>(labels: Labels, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof NativeError) || error.code !== "EMSGSIZE") throw error;
      this.tell(labels, error.message);
      return undefined;
    }
  }

  /** Logs that something of this container is left out, unless it has. */
  tell(labels: Labels, error: string): void {
    if (this.#told.has(labels)) return;
    this.#told.add(labels);
    const { namespace, pod, container } = labels;
    this.#log.warn(this.#message, { namespace, pod, ...(container === "" ? {} : { container }), error });
  }
}
