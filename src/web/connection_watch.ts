/**
 * Which connections of the server have to go. Neither of the runtime's servers limits them: whoever opens one and sends
 * nothing, or asks and does not read, would hold memory and a descriptor for ever.
 */
import type { Logger } from "../log.ts";
import { Seldom } from "./seldom.ts";

/** A connection as it is just now; bytes are counted since it began. */
export interface Connection {
  /** No other connection ever has it. */
  readonly id: bigint;
  readonly descriptor: number;
  readonly received: number;
  /** Sent, and confirmed by the other end. */
  readonly acknowledged: number;
  /** Still to be sent or confirmed. */
  readonly unacknowledged: number;
  /** Since the last byte in either direction. */
  readonly quietMs: number;
  /** Port of the other end. */
  readonly peerPort: number;
}

/** The connections of one port. */
export interface ConnectionTable {
  /** How many there are at most; much sooner said than which. */
  atMost(): number;
  list(): readonly Connection[];
  /** Breaks it off, as if its other end were gone. */
  drop(connection: Connection): void;
}

export interface ConnectionLimits {
  /** How long a client may take for one request: to send all of it and to read all of its answer. */
  readonly requestMs: number;
  /** How long a connection may do nothing between two requests. */
  readonly quietMs: number;
  /** How many connections may be open when they are looked at; more go, those that did nothing for longest first. */
  readonly most: number;
}

/** Prometheus asks again at latest every two minutes, gives up on an answer after ten seconds, and asks on one connection. */
export const CONNECTION_LIMITS: ConnectionLimits = { requestMs: 30_000, quietMs: 120_000, most: 256 };

/** As many connections do no harm: they need not be looked at each second. */
const FEW = 32;
const FEW_PAUSE_MS = 10_000;

/** What is remembered of a connection from one look to the next. */
interface Known {
  /** Bytes when it was last at rest: all that was asked answered, and the answer read. */
  readonly received: number;
  readonly acknowledged: number;
  /** When it was last at rest, or else first seen, by `performance.now()`. */
  readonly since: number;
  readonly atRest: boolean;
}

export class ConnectionWatch {
  readonly #table: ConnectionTable;
  readonly #limits: ConnectionLimits;
  readonly #log: Logger;
  #known: ReadonlyMap<bigint, Known> = new Map();
  readonly #seldom = new Seldom();
  #looked = -Infinity;

  constructor(table: ConnectionTable, log: Logger, limits = CONNECTION_LIMITS) {
    this.#table = table;
    this.#limits = limits;
    this.#log = log;
  }

  /**
   * Drops the connections that have to go at the time `now`, by `performance.now()`. To be called about once a second.
   *
   * @param most How many may stay. @default the limit
   * @throws what the table throws.
   */
  sweep(now: number, most = this.#limits.most): void {
    if (most > FEW && now - this.#looked < FEW_PAUSE_MS && this.#table.atMost() <= FEW) return;
    this.#looked = now;
    const open = this.#table.list().map((connection) => ({
      connection,
      known: noted(connection, this.#known.get(connection.id), now),
    }));
    this.#known = new Map(open.map(({ connection, known }) => [connection.id, known]));
    const { late = [], inTime = [] } = Object.groupBy(
      open,
      ({ connection, known }) => this.#isLate(connection, known, now) ? "late" : "inTime",
    );
    const surplus = inTime.toSorted((left, right) => right.connection.quietMs - left.connection.quietMs)
      .slice(0, Math.max(0, inTime.length - most));
    for (const { connection } of [...late, ...surplus]) this.#table.drop(connection);
    if (surplus.length === 0) return;
    this.#seldom.tell(() => {
      this.#log.warn("too many connections: those that did nothing for longest are closed", {
        open: open.length,
        dropped: surplus.length,
      });
    });
  }

  #isLate({ quietMs }: Connection, { atRest, since }: Known, now: number): boolean {
    return atRest ? quietMs > this.#limits.quietMs : now - since > this.#limits.requestMs;
  }
}

function noted(connection: Connection, known: Known | undefined, now: number): Known {
  const { received, acknowledged, unacknowledged } = connection;
  const answered = unacknowledged === 0 && acknowledged > (known?.acknowledged ?? 0);
  if (answered) return { received, acknowledged, since: now, atRest: true };
  if (known === undefined) return { received: 0, acknowledged: 0, since: now, atRest: false };
  // At rest until the next byte comes, or goes.
  const atRest = known.atRest && received === known.received && unacknowledged === 0;
  return { ...known, since: known.atRest && !atRest ? now : known.since, atRest };
}
