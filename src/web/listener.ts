/** Where requests come from: what a listener owes the server, whichever runtime's it is. */

/** Where to listen; an IPv6 host name is without brackets, port 0 is any free one. */
export interface ListenAddress {
  readonly hostname: string;
  readonly port: number;
}

/** Whom a request is from, and when its answer is through. */
export interface Exchange {
  /** Address of the client, without its port. */
  readonly peer: string;
  readonly peerPort: number;
  /** Resolves when the listener has taken the answer over, or cannot. */
  readonly sent: Promise<void>;
}

/** Answers a request; never rejects. */
export type Answer = (request: Request, exchange: Exchange) => Promise<Response>;

/** A listener that accepts connections. */
export interface Listener {
  /** Where it listens, with the port it was given. */
  readonly address: { readonly hostname: string; readonly port: number };
  /** Stops accepting; resolves when all requests are answered and all connections closed. */
  shutdown(): Promise<void>;
  /** Waits no longer for clients that do not read their answers. */
  abandon(): void;
  /** Has this called when no more connections can be accepted, until some are closed. */
  whenExhausted?(relieve: () => void): void;
}

/** @throws {Error} if it cannot listen there; the message is for the operator. */
export type Listen = (address: ListenAddress, answer: Answer) => Promise<Listener>;

/** The error for the operator of an address that cannot be listened on. */
export function listenError({ hostname, port }: ListenAddress, cause: unknown): Error {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return new Error(`Cannot listen on ${host}:${port}: ${advice(cause)}`, { cause });
}

const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: "address already in use; set KPOD_LISTEN_ADDRESS to a free port, or stop what listens there",
  EADDRNOTAVAIL: "this host has no such address; set KPOD_LISTEN_ADDRESS to one it has",
  EACCES: "permission denied; set KPOD_LISTEN_ADDRESS to a port above 1023, or grant CAP_NET_BIND_SERVICE",
};

function advice(cause: unknown): string {
  if (cause instanceof Deno.errors.NotCapable) {
    return "Deno was not allowed to; run with --allow-net for this address, or set KPOD_LISTEN_ADDRESS";
  }
  const { code = "", message = String(cause) } = cause instanceof Error
    ? cause as Error & { code?: string }
    : {};
  return ADVICE[code] ?? `${message}; set KPOD_LISTEN_ADDRESS to host:port`;
}
