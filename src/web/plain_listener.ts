/** Plain HTTP, by the runtime's own server. */
import type { Logger } from "../log.ts";
import { type Answer, type ListenAddress, type Listener, listenError } from "./listener.ts";
import { Seldom } from "./seldom.ts";

/** How long descriptors have to become free before it is tried again to listen. */
const RETRY_MS = 200;

/**
 * Listens on `address`. The runtime's server ends when it may open no more descriptors; then the listener begins anew.
 * Connections that are open stay so.
 *
 * @throws {Error} If it cannot listen there; the message is for the operator.
 */
export function listenPlain(address: ListenAddress, answer: Answer, log: Logger): Listener {
  let relieve = () => {};
  let retry: ReturnType<typeof setTimeout> | undefined;
  const seldom = new Seldom();
  let closing = false;
  let server = begin(address, answer);
  const { addr } = server;

  function watch(): void {
    server.finished.catch((error) => {
      if (closing) return;
      seldom.tell(() => log.error("cannot accept connections; listening anew", { error: String(error) }));
      again();
    });
  }
  function again(): void {
    try {
      relieve();
      server = begin(addr, answer);
      watch();
    } catch {
      retry = setTimeout(again, RETRY_MS);
    }
  }
  watch();
  return {
    address: addr,
    shutdown: async () => {
      closing = true;
      clearTimeout(retry);
      await server.shutdown();
    },
    abandon: () => server.unref(),
    whenExhausted: (callback) => relieve = callback,
  };
}

function begin({ hostname, port }: ListenAddress, answer: Answer): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve(
      { hostname, port, onListen() {} },
      (request, { remoteAddr, completed }) =>
        answer(request, {
          peer: remoteAddr.hostname,
          peerPort: remoteAddr.port,
          sent: completed.catch(() => {}),
        }),
    );
  } catch (cause) {
    throw listenError({ hostname, port }, cause);
  }
}
