/** One file of containers' processes, read for all of them at once and taken apart only when it has changed. */
import { NativeError } from "../native/error.ts";
import {
  type Clock,
  type Process,
  type ProcessCycle,
  type Processes,
  type ProcessFileSet,
  type Procfs,
  whenSettled,
} from "./processes.ts";

/** What a process's file says. */
export interface Content<T> {
  /** The same object as long as the file's text is the same. */
  readonly value: T;
  readonly inode: bigint;
}

export interface ProcessFileOptions<T> {
  /**
   * Whether nothing but an intruder changes the file from now on: it is then read once more, and from then on only once
   * a minute. @default never
   */
  readonly isSettled?: (process: Process, value: T) => boolean;
  /** @default performance.now */
  readonly clock?: Clock;
}

interface OpenFile<T> {
  readonly process: Process;
  readonly slot: number;
  /** Or why there is none. */
  content: Content<T> | NativeError;
  isSettled: boolean;
  /** When it is to be read again. */
  due: number;
  /** The one in which it was last read. */
  cycle: ProcessCycle | undefined;
}

export class ProcessFile<T> {
  readonly #processes: Pick<Processes, "known">;
  readonly #name: string;
  readonly #parse: (text: string) => T;
  readonly #options: Required<ProcessFileOptions<T>>;
  readonly #set: ProcessFileSet;
  readonly #files = new Map<Process, OpenFile<T>>();
  #cycle: ProcessCycle | undefined;

  /** `name` is a file of /proc/PID, such as `mountinfo`. */
  constructor(
    proc: Pick<Procfs, "fileSet">,
    processes: Pick<Processes, "known">,
    name: string,
    parse: (text: string) => T,
    { isSettled = () => false, clock = () => performance.now() }: ProcessFileOptions<T> = {},
  ) {
    this.#processes = processes;
    this.#name = name;
    this.#parse = parse;
    this.#options = { isSettled, clock };
    this.#set = proc.fileSet();
  }

  /**
   * What it says of a process that is known.
   *
   * @throws {NativeError} if it cannot be read.
   */
  of(cycle: ProcessCycle, process: Process): Content<T> {
    this.#begin(cycle);
    const { content } = this.#files.get(process) ?? this.#open(process);
    if (content instanceof NativeError) throw content;
    return content;
  }

  /** Reads it now if this cycle has not. Returns whether it had not. */
  reread(process: Process): boolean {
    const file = this.#files.get(process);
    if (file === undefined || file.cycle === this.#cycle) return false;
    this.#read([file]);
    return true;
  }

  #begin(cycle: ProcessCycle): void {
    if (cycle === this.#cycle) return;
    this.#cycle = cycle;
    const known = new Set(this.#processes.known);
    for (const [process, { slot }] of this.#files) {
      if (known.has(process)) continue;
      this.#set.remove(slot);
      this.#files.delete(process);
    }
    const now = this.#options.clock();
    this.#read([...this.#files.values()].filter(({ due }) => due <= now));
  }

  #open(process: Process): OpenFile<T> {
    const slot = this.#set.addAnew(String(process.pid), this.#name);
    const none = new NativeError(`read ${this.#name}`, 0);
    const file: OpenFile<T> = { process, slot, content: none, isSettled: false, due: 0, cycle: undefined };
    this.#files.set(process, file);
    this.#read([file]);
    return file;
  }

  #read(files: readonly OpenFile<T>[]): void {
    const texts = this.#set.refresh(files.map(({ slot }) => slot));
    files.forEach((file, index) => {
      const text = texts[index];
      if (text instanceof NativeError) file.content = text;
      else if (text !== undefined) {
        file.content = { value: this.#parse(text), inode: this.#set.inode(file.slot) };
        file.isSettled = false;
      }
      file.cycle = this.#cycle;
      this.#plan(file);
    });
  }

  /** Decides when to read a file again: what was read before it was known to be settled may be old. */
  #plan(file: OpenFile<T>): void {
    const { content, process, isSettled: wasSettled } = file;
    file.isSettled = !(content instanceof NativeError) &&
      (wasSettled || this.#options.isSettled(process, content.value));
    file.due = wasSettled && file.isSettled ? whenSettled(this.#options.clock()) : 0;
  }
}
