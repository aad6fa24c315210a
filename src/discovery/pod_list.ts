/**
 * Reads the kubelet's `/pods` answer while it arrives, one pod at a time. Most pods are byte for byte what they were at
 * the poll before, in another order: they are known by a digest of their text and not parsed again. So the answer, and
 * what it would be as objects, some ten times as much, is never there as a whole.
 */
import { Buffer } from "node:buffer";
import { createHash, type Hash } from "node:crypto";
import { JsonBrackets } from "./json_brackets.ts";
import { parsePod, type Pod, type PodProblem } from "./pod.ts";

/** A pod that could not be read. */
export interface MalformedPod extends PodProblem {
  /** `namespace/name` where both can be read, else its place, as `items[3]`. */
  readonly pod: string;
}

/** What one answer of the kubelet says. */
export interface PodList {
  readonly pods: readonly Pod[];
  readonly malformed: readonly MalformedPod[];
}

/** Says in a few words what an answer is that is no list of pods. */
export class PodListError extends Error {
  override readonly name = "PodListError";
}

/** Many times what any node runs: looking at each of millions would hold the agent up. */
const MOST_PODS = 10_000;
const TOO_MANY = `a PodList of more than ${MOST_PODS} pods`;

/** How many bytes before a bracket are searched for the key of what it opens. */
const KEY_ROOM = 40;

/** How much of an answer is shown where it is no JSON, in bytes. */
const BEGINNING = 40;

const LEFT_BRACKET = 0x5b;

/** What stands for each pod in what is left of the answer without them. */
const PLACEHOLDER = Buffer.from("{}");

/** Knows the pods of the last good answer. */
export class PodListParser {
  #known: ReadonlyMap<string, Pod> = new Map();

  /** Begins with a new answer. */
  begin(): PodListReader {
    return new PodListReader(this.#known, (known) => this.#known = known);
  }
}

/** One answer, which is pushed in pieces of any size as it arrives. */
export class PodListReader {
  readonly #before: ReadonlyMap<string, Pod>;
  readonly #finish: (known: ReadonlyMap<string, Pod>) => void;
  readonly #known = new Map<string, Pod>();
  /** The answer with a placeholder for each pod. */
  readonly #rest: Uint8Array[] = [];
  readonly #items: (Pod | PodProblem)[] = [];
  /** The list of pods is the second bracket that is open, a pod of it the third. */
  readonly #brackets = new JsonBrackets(3);
  #inItems = false;
  /** The pod that is arriving. */
  #pod: { readonly pieces: Uint8Array[]; readonly hash: Hash } | undefined;
  #beginning = Buffer.alloc(0);

  /** Use `PodListParser.begin()`. */
  constructor(before: ReadonlyMap<string, Pod>, finish: (known: ReadonlyMap<string, Pod>) => void) {
    this.#before = before;
    this.#finish = finish;
  }

  /**
   * Takes the next piece, and keeps nothing of it but pods that are not complete.
   *
   * @throws {PodListError} if a pod is not JSON, or is one too many.
   */
  push(piece: Uint8Array): void {
    if (this.#beginning.length < BEGINNING) {
      this.#beginning = Buffer.concat([
        this.#beginning,
        piece.subarray(0, BEGINNING - this.#beginning.length),
      ]);
    }
    const brackets = this.#brackets;
    let taken = 0;
    for (let at = 0; (at = brackets.next(piece, at)) < piece.length; at++) {
      const { depth } = brackets;
      if (this.#pod !== undefined) {
        this.#extend(this.#pod, piece.subarray(taken, at + 1));
        taken = at + 1;
        this.#complete(this.#pod);
        this.#pod = undefined;
      } else if (depth === 3 && this.#inItems) {
        this.#rest.push(new Uint8Array(piece.subarray(taken, at)), PLACEHOLDER);
        taken = at;
        this.#pod = { pieces: [], hash: createHash("sha256") };
      } else if (depth === 2 && piece[at] === LEFT_BRACKET) {
        this.#inItems = this.#isAfterItems(piece.subarray(0, at));
      } else if (depth === 1) {
        this.#inItems = false;
      }
    }
    if (this.#pod !== undefined) this.#extend(this.#pod, piece.subarray(taken));
    else this.#rest.push(new Uint8Array(piece.subarray(taken)));
  }

  /**
   * Says what the answer was, once all of it has been pushed: a `v1.PodList`. A pod that cannot be read is left out and
   * recorded; `"items": null` is an empty list, which a kubelet answers after its restart.
   *
   * @throws {PodListError} if it is something else.
   */
  end(): PodList {
    const body = this.#parse(this.#rest);
    const pods: Pod[] = [];
    const malformed: MalformedPod[] = [];
    for (const [index, item] of this.#itemsOf(body).entries()) {
      if ("problem" in item) malformed.push({ pod: `items[${index}]`, ...item });
      else pods.push(item);
    }
    this.#finish(this.#known);
    return { pods, malformed };
  }

  /** Whether what is before a bracket says that it opens the list of pods. */
  #isAfterItems(before: Uint8Array): boolean {
    const tail = [this.#rest.at(-1) ?? new Uint8Array(), before].map((text) => text.subarray(-KEY_ROOM));
    return /"items"\s*:\s*$/.test(Buffer.concat(tail).toString("latin1"));
  }

  #extend({ pieces, hash }: { readonly pieces: Uint8Array[]; readonly hash: Hash }, piece: Uint8Array): void {
    pieces.push(piece);
    hash.update(piece);
  }

  #complete({ pieces, hash }: { readonly pieces: readonly Uint8Array[]; readonly hash: Hash }): void {
    if (this.#items.length === MOST_PODS) throw new PodListError(TOO_MANY);
    const digest = hash.digest("base64");
    const item = this.#before.get(digest) ?? parsePod(this.#parse(pieces));
    this.#items.push(item);
    if (!("problem" in item)) this.#known.set(digest, item);
  }

  #parse(text: readonly Uint8Array[]): unknown {
    try {
      return JSON.parse(Buffer.concat(text).toString("utf8"));
    } catch (error) {
      const beginning = JSON.stringify(this.#beginning.toString("utf8"));
      throw new PodListError(`a body that is not JSON, beginning ${beginning}`, { cause: error });
    }
  }

  /** The answer's items; `body` has placeholders for those that are an object or a list. */
  #itemsOf(body: unknown): readonly (Pod | PodProblem)[] {
    const { kind, items } = (body ?? {}) as { kind?: unknown; items?: unknown };
    if (kind !== "PodList") throw new PodListError(`no PodList but ${describe(body, kind)}`);
    if (items === null) return [];
    if (!Array.isArray(items)) throw new PodListError("a PodList without a list of items");
    if (items.length > MOST_PODS) throw new PodListError(TOO_MANY);
    // Where the key is written in an unusual way, as `"\u0069tems"`, the pods are all here.
    if (this.#items.length === 0) return items.map(parsePod);
    let placeholders = 0;
    const all = items.map((item) => {
      const isPlaceholder = typeof item === "object" && item !== null;
      return (isPlaceholder ? this.#items[placeholders++] : undefined) ?? parsePod(item);
    });
    if (placeholders !== this.#items.length) throw new PodListError("a PodList with several lists of items");
    return all;
  }
}

function describe(body: unknown, kind: unknown): string {
  if (typeof kind === "string") return `kind ${JSON.stringify(kind)}`;
  if (body === null || typeof body !== "object") {
    return `the JSON value ${JSON.stringify(body)?.slice(0, 40)}`;
  }
  return Array.isArray(body) ? "a JSON array" : "a JSON object without a kind";
}
