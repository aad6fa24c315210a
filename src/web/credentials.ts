/** Basic authentication (RFC 7617) against hashes of passwords. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { Buffer } from "node:buffer";
import type { Attempts } from "./attempts.ts";

/** What becomes of somebody's credentials. `busy`: too many are being looked at already. */
export type Verdict = "accepted" | "refused" | "busy";

/** Compares a password with its hash, which takes long. */
export type PasswordFits = (hash: string, password: Uint8Array) => Promise<boolean>;

/** A name and a password as they were sent. */
interface Credentials {
  readonly user: string;
  readonly password: Uint8Array;
}

/** A scraper with a wrong password asks again and again: that is not to be computed each time. */
const MOST_REFUSED = 128;

/**
 * Judges credentials. A wrong password and a user there is not are one to whoever asks: both are compared with a hash,
 * and what was found out once is known from then on.
 */
export class BasicAuthentication {
  readonly #users: ReadonlyMap<string, string>;
  readonly #fits: PasswordFits;
  readonly #attempts: Attempts;
  readonly #key = randomBytes(32);
  /** Digests of what was accepted, one for each user. */
  readonly #accepted = new Map<string, Buffer>();
  /** Digests of what was refused, the latest last. */
  readonly #refused = new Set<string>();
  readonly #underWay = new Map<string, Promise<Verdict>>();

  /** @param users Bcrypt hashes by the users' names; not empty. */
  constructor(users: ReadonlyMap<string, string>, fits: PasswordFits, attempts: Attempts) {
    this.#users = users;
    this.#fits = fits;
    this.#attempts = attempts;
  }

  /** Judges an `Authorization` header, null if there is none. */
  async check(header: string | null, peer: string): Promise<Verdict> {
    const credentials = parse(header);
    if (credentials === undefined) return "refused";
    const digest = this.#digest(credentials);
    const accepted = this.#accepted.get(credentials.user);
    if (accepted !== undefined && timingSafeEqual(accepted, digest)) return "accepted";
    const key = digest.toString("base64");
    if (this.#refused.has(key)) return "refused";
    const judged = this.#underWay.get(key) ?? this.#judge(credentials, digest, key, peer);
    return await judged;
  }

  #judge(credentials: Credentials, digest: Buffer, key: string, peer: string): Promise<Verdict> {
    const judged = this.#compare(credentials, peer).then((verdict) => {
      if (verdict === "accepted") this.#accepted.set(credentials.user, digest);
      else if (verdict === "refused") this.#remember(key);
      return verdict;
    }).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, judged);
    return judged;
  }

  async #compare({ user, password }: Credentials, peer: string): Promise<Verdict> {
    const hash = this.#users.get(user);
    const fits = await this.#attempts.run(peer, () => this.#fits(hash ?? this.#decoy(user), password));
    if (fits === undefined) return "busy";
    return fits && hash !== undefined ? "accepted" : "refused";
  }

  /** For a name there is not: always the same of the hashes there are, so that it takes as long as one of those users. */
  #decoy(user: string): string {
    const hashes = [...this.#users.values()];
    const index = createHmac("sha256", this.#key).update(user).digest().readUInt32LE() % hashes.length;
    return hashes[index] ?? "";
  }

  /** Of which nobody learns the password, and which nobody can prepare. */
  #digest({ user, password }: Credentials): Buffer {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(Buffer.byteLength(user));
    return createHmac("sha256", this.#key).update(length).update(user).update(password).digest();
  }

  #remember(key: string): void {
    this.#refused.add(key);
    const [oldest] = this.#refused;
    if (this.#refused.size > MOST_REFUSED && oldest !== undefined) this.#refused.delete(oldest);
  }
}

function parse(header: string | null): Credentials | undefined {
  const [, encoded] = /^basic +([a-z0-9+/]+={0,2})$/i.exec(header ?? "") ?? [];
  if (encoded === undefined) return undefined;
  const bytes = Buffer.from(encoded, "base64");
  const colon = bytes.indexOf(":");
  if (colon < 0) return undefined;
  return { user: bytes.toString("utf8", 0, colon), password: bytes.subarray(colon + 1) };
}
