/** One file of containers' processes, read for all of them at once and taken apart only when it has changed. */
import { NativeError } from "../native/error.ts";
import type { Process, ProcessCycle, Processes, ProcessFileSet, Procfs } from "./processes.ts";

/** What a process's file says. */
export interface Content<T> {
  /** The same object as long as the file's text is the same. */
  readonly value: T;
  readonly inode: bigint;
}

interface OpenFile<T> {
  readonly slot: number;
  /** Or why there is none. */
  content: Content<T> | NativeError;
}

export class ProcessFile<T> {
  readonly #processes: Pick<Processes, "known">;
  readonly #name: string;
  readonly #parse: (text: string) => T;
  readonly #set: ProcessFileSet;
  readonly #files = new Map<Process, OpenFile<T>>();
  #cycle: ProcessCycle | undefined;

  /** `name` is a file of /proc/PID, such as `mountinfo`. */
  constructor(
    proc: Pick<Procfs, "fileSet">,
    processes: Pick<Processes, "known">,
    name: string,
    parse: (text: string) => T,
  ) {
    this.#processes = processes;
    this.#name = name;
    this.#parse = parse;
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

  #begin(cycle: ProcessCycle): void {
    if (cycle === this.#cycle) return;
    this.#cycle = cycle;
    const known = new Set(this.#processes.known);
    for (const [process, { slot }] of this.#files) {
      if (known.has(process)) continue;
      this.#set.remove(slot);
      this.#files.delete(process);
    }
    this.#read([...this.#files.values()]);
  }

  #open(process: Process): OpenFile<T> {
    const slot = this.#set.addAnew(String(process.pid), this.#name);
    const file: OpenFile<T> = { slot, content: new NativeError(`read ${this.#name}`, 0) };
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
      }
    });
  }
}
