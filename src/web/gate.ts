/** What stands before every answer: who may have it, how many at a time, and what every answer says. */
import type { Answer } from "./listener.ts";

/** What becomes of a request: `undefined` if it is to be answered, or else the answer that refuses it. */
export interface Gate {
  admit(request: Request, peer: string): Promise<Response | undefined>;
  /** Headers of every answer, in place of what it says itself. */
  readonly headers: Readonly<Record<string, string>>;
}

/** For the kubelet's probes, which know no password: they tell whether the agent is well, and nothing of any pod. */
const OPEN_PATHS: readonly string[] = ["/healthz", "/readyz"];

/** Each takes memory for itself while it is being made. */
const MOST_ANSWERS = 64;

/** What is served is nobody's but the asker's, is what its type says, and is old in a second. */
const HEADERS: Readonly<Record<string, string>> = {
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
};

const NOBODY_BARRED: Gate = { admit: () => Promise.resolve(undefined), headers: {} };

/**
 * Returns `answer` behind the gate: whom that does not let in is refused, and whoever asks while too many answers are
 * under way is told to come back. The paths of the probes are open, always.
 */
export function guarded(answer: (request: Request) => Promise<Response>, gate = NOBODY_BARRED): Answer {
  let underWay = 0;

  async function admitted(request: Request, peer: string): Promise<Response> {
    if (OPEN_PATHS.includes(URL.parse(request.url)?.pathname ?? "")) return await answer(request);
    if (underWay > MOST_ANSWERS) return refusal(503, "Too many requests at once\n", { "Retry-After": "1" });
    return await gate.admit(request, peer) ?? await answer(request);
  }

  return async (request, { peer, sent }) => {
    underWay++;
    void sent.then(() => underWay--);
    const response = await admitted(request, peer);
    for (const [name, value] of Object.entries({ ...HEADERS, ...gate.headers })) {
      response.headers.set(name, value);
    }
    return response;
  };
}

/** A short answer in plain text. */
export function refusal(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(text, { status, headers: { "Content-Type": "text/plain; charset=utf-8", ...headers } });
}
