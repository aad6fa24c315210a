/**
 * Memory of answers that clients do not read. The runtime holds each until it is sent, takes the next request of the same
 * connection before that, and over HTTP/2 two hundred at a time: a few connections could take all there is.
 */
import type { Logger } from "../log.ts";
import { Seldom } from "./seldom.ts";
import type { Connection, ConnectionTable } from "./connection_watch.ts";

/** As much as a hundred clients get who read their answers of 640 kB uncompressed, all at the same moment. */
const MOST_BYTES = 64 * 1024 * 1024;

export class UnreadAnswers {
  readonly #table: ConnectionTable;
  readonly #log: Logger;
  readonly #most: number;
  /** Bytes of answers by the port of the client. Two clients with the same port are one here. */
  readonly #answered = new Map<number, number>();
  /** No less than what is unread: what has been read since it was last looked is in it. */
  #sum = 0;
  readonly #seldom = new Seldom();

  constructor(table: ConnectionTable, log: Logger, most = MOST_BYTES) {
    this.#table = table;
    this.#log = log;
    this.#most = most;
  }

  /**
   * Notes that a client gets an answer of so many bytes. When all that is unread comes to too much, connections are
   * dropped, those with most of it first, until half of that is left.
   *
   * @throws what the table throws.
   */
  note(peerPort: number, bytes: number): void {
    this.#answered.set(peerPort, (this.#answered.get(peerPort) ?? 0) + bytes);
    this.#sum += bytes;
    if (this.#sum > this.#most) this.#relieve();
  }

  #relieve(): void {
    const connections = Map.groupBy(this.#table.list(), ({ peerPort }) => peerPort);
    // Of those that are gone nothing is left.
    for (const peerPort of this.#answered.keys()) {
      if (!connections.has(peerPort)) this.#answered.delete(peerPort);
    }
    const unread = [...this.#answered].map(([peerPort, answered]) => {
      const own = connections.get(peerPort) ?? [];
      return { own, bytes: Math.max(0, answered - read(own)) };
    }).toSorted((left, right) => right.bytes - left.bytes);
    this.#sum = unread.reduce((sum, { bytes }) => sum + bytes, 0);
    if (this.#sum <= this.#most) return;
    const bytes = this.#sum;
    this.#seldom.tell(() => {
      this.#log.warn("answers that clients do not read take too much memory: connections are closed", {
        bytes,
      });
    });
    for (const { own, bytes } of unread) {
      if (this.#sum <= this.#most / 2) break;
      for (const connection of own) this.#table.drop(connection);
      this.#sum -= bytes;
    }
  }
}

function read(connections: readonly Connection[]): number {
  return connections.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
}
