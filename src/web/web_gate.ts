/** The gate that the web configuration asks for. */
import type { Logger } from "../log.ts";
import { Attempts } from "./attempts.ts";
import { BasicAuthentication, type PasswordFits } from "./credentials.ts";
import { type Gate, refusal } from "./gate.ts";
import { Seldom } from "./seldom.ts";
import type { WebSettings } from "./web_settings.ts";

const UNAUTHORIZED = { "WWW-Authenticate": 'Basic realm="kpod-metrics", charset="UTF-8"' };

export class WebGate implements Gate {
  readonly #fits: PasswordFits;
  readonly #log: Logger;
  readonly #attempts = new Attempts();
  #settings: Pick<WebSettings, "headers" | "users">;
  #authentication: BasicAuthentication | undefined;
  #refusals = 0;
  readonly #seldom = new Seldom();

  constructor(settings: Pick<WebSettings, "headers" | "users">, fits: PasswordFits, log: Logger) {
    this.#fits = fits;
    this.#log = log;
    this.#settings = settings;
    this.#authentication = this.#authenticationOf(settings);
  }

  get headers(): Readonly<Record<string, string>> {
    return this.#settings.headers;
  }

  /** Has others take the place of the settings; who was accepted need not be compared again if nobody else is. */
  use(settings: Pick<WebSettings, "headers" | "users">): void {
    const [before, after] = [this.#settings, settings].map(({ users }) => JSON.stringify([...users]));
    if (before !== after) this.#authentication = this.#authenticationOf(settings);
    this.#settings = settings;
  }

  async admit(request: Request, peer: string): Promise<Response | undefined> {
    const verdict = await this.#authentication?.check(request.headers.get("Authorization"), peer) ??
      "accepted";
    if (verdict === "accepted") return undefined;
    this.#tell(peer);
    if (verdict === "busy") return refusal(429, "Too many attempts\n", { "Retry-After": "10" });
    return refusal(401, "Unauthorized\n", UNAUTHORIZED);
  }

  #authenticationOf({ users }: Pick<WebSettings, "users">): BasicAuthentication | undefined {
    return users.size === 0 ? undefined : new BasicAuthentication(users, this.#fits, this.#attempts);
  }

  /** Names are not told: some people type the password there. */
  #tell(peer: string): void {
    this.#refusals++;
    this.#seldom.tell(() => {
      const refused = this.#refusals;
      this.#log.warn("refused requests without a valid name and password", { refused, latest: peer });
      this.#refusals = 0;
    });
  }
}
