/** The descriptors and TCP connections of this process, which the runtime keeps to itself. */

import { checked } from "./error.ts";
import type { FileSet } from "./file_set.ts";
import { openLibrary } from "./library.ts";
import { GrowingBuffer } from "./memory.ts";

/** A connection as it is just now. */
export interface Connection {
  /** No other connection ever has it. */
  readonly id: bigint;
  readonly descriptor: number;
  /** Bytes since it began. */
  readonly received: number;
  /** Bytes sent that the other end has confirmed. */
  readonly acknowledged: number;
  /** Bytes that are still to be sent or confirmed. */
  readonly unacknowledged: number;
  /** Since the last byte in either direction. */
  readonly quietMs: number;
  /** Port of the other end; 0 once that is gone. */
  readonly peerPort: number;
}

/** `struct kpod_connection` of `native/kpod_web.h`. */
const RECORD_BYTES = 40;

const buffer = new GrowingBuffer();

/**
 * How many descriptors are open.
 *
 * @throws {NativeError} if the process may not look at itself.
 */
export function openDescriptors(): number {
  return checked(openLibrary().kpod_descriptors(), () => "count the open descriptors");
}

/**
 * The connections whose own port is this, listening sockets left out.
 *
 * @throws {NativeError} if the process may not look at itself.
 */
export function connectionsOn(port: number): Connection[] {
  const bytes = buffer.fill(
    (bytes, capacity) => openLibrary().kpod_connections(port, bytes, capacity),
    () => `list the connections of port ${port}`,
  );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from(
    { length: bytes.length / RECORD_BYTES },
    (_, index) => record(view, index * RECORD_BYTES),
  );
}

function record(view: DataView, at: number): Connection {
  return {
    id: view.getBigUint64(at, true),
    received: Number(view.getBigUint64(at + 8, true)),
    acknowledged: Number(view.getBigUint64(at + 16, true)),
    descriptor: view.getUint32(at + 24, true),
    unacknowledged: view.getUint32(at + 28, true),
    quietMs: view.getUint32(at + 32, true),
    peerPort: view.getUint32(at + 36, true),
  };
}

/** Counts the TCP sockets in the process's network namespace, by its procfs: often, and so from files kept open. */
export class TcpSockets {
  readonly #files: Pick<FileSet, "add" | "refresh">;
  /** Of each protocol, by the slot of its file. */
  readonly #counts = new Map<number, number>();

  constructor(proc: { fileSet(): Pick<FileSet, "add" | "refresh"> }) {
    this.#files = proc.fileSet();
    try {
      for (const name of ["sockstat", "sockstat6"]) {
        this.#counts.set(this.#files.add(`self/net/${name}`), NaN);
      }
    } catch {
      // There is no IPv6; without the first file there is no knowing.
    }
  }

  /** How many there are; Infinity where that cannot be known. */
  count(): number {
    const slots = [...this.#counts.keys()];
    const texts = this.#files.refresh(slots);
    for (const [index, slot] of slots.entries()) {
      const text = texts[index];
      if (text === undefined) continue;
      const [, inUse] = typeof text === "string" ? /^TCP6?: inuse (\d+)/m.exec(text) ?? [] : [];
      this.#counts.set(slot, Number(inUse));
    }
    const sum = [...this.#counts.values()].reduce((all, one) => all + one, 0);
    return slots.length === 0 || Number.isNaN(sum) ? Infinity : sum;
  }
}

/** Breaks a connection off, as if its other end were gone; one that has ended since is let be. */
export function dropConnection({ descriptor, id }: Pick<Connection, "descriptor" | "id">): void {
  const ENOENT = -2;
  const result = openLibrary().kpod_connection_drop(descriptor, id);
  if (result !== ENOENT) checked(result, () => `drop connection ${id}`);
}
