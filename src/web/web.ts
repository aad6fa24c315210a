/** How the agent is reached: plain HTTP to everybody, or what the web configuration file says. */
import type { Logger } from "../log.ts";
import type { Family } from "../metrics/family.ts";
import type { PasswordFits } from "./credentials.ts";
import { type ConnectionTable, ConnectionWatch } from "./connection_watch.ts";
import type { Gate } from "./gate.ts";
import type { Listen } from "./listener.ts";
import { listenPlain } from "./plain_listener.ts";
import { UnreadAnswers } from "./unread_answers.ts";
import type { ReadFile } from "./web_settings.ts";

/** What the web server needs of the machine. */
export interface WebHost {
  readonly readFile: ReadFile;
  readonly passwordFits: PasswordFits;
  /** The connections whose own port is this. */
  connections(port: number): ConnectionTable;
  readonly log: Logger;
}

/** How to serve. */
export interface Web {
  readonly listen: Listen;
  readonly gate?: Gate;
  /** Is TLS spoken? */
  readonly isSecure: boolean;
  /** What there is to say of the web configuration. */
  families(): Family[];
}

const SWEEP_MS = 1_000;

/** When descriptors have run out, all but so many connections go. */
const MOST_WHEN_EXHAUSTED = 16;

/**
 * Returns how to serve with the configuration in a file, over plain HTTP to everybody if there is none.
 *
 * @throws {WebConfigError} if the file cannot be used.
 */
export async function createWeb(file: string | undefined, host: WebHost): Promise<Web> {
  if (file !== undefined) {
    // YAML and all that is only loaded where it is wanted.
    const { createGuardedWeb } = await import("./guarded_web.ts");
    return await createGuardedWeb(file, host);
  }
  return { listen: watched(plain(host.log), host), isSecure: false, families: () => [] };
}

export function plain(log: Logger): Listen {
  return (address, answer) => Promise.try(() => listenPlain(address, answer, log));
}

/** A listener whose connections are looked at each second. */
export function watched(listen: Listen, { connections, log }: Pick<WebHost, "connections" | "log">): Listen {
  return async (address, answer) => {
    const listener = await listen(address, async (request, exchange) => {
      const response = await answer(request, exchange);
      if (request.method !== "HEAD") attempt(() => unread.note(exchange.peerPort, lengthOf(response)));
      return response;
    });
    const table = connections(listener.address.port);
    const unread = new UnreadAnswers(table, log);
    const watch = new ConnectionWatch(table, log);
    let failed = false;
    function attempt(look: () => void): void {
      try {
        look();
      } catch (error) {
        if (!failed) log.error("cannot look after the connections", { error: String(error) });
        failed = true;
      }
    }
    const sweep = (most?: number) => attempt(() => watch.sweep(performance.now(), most));
    listener.whenExhausted?.(() => sweep(MOST_WHEN_EXHAUSTED));
    const timer = setInterval(sweep, SWEEP_MS);
    return {
      ...listener,
      shutdown: async () => {
        clearInterval(timer);
        await listener.shutdown();
      },
    };
  };
}

function lengthOf(response: Response): number {
  return Number(response.headers.get("Content-Length") ?? 0);
}
