/** What the test says as it goes, and what it comes to. */

export class Report {
  readonly #write: (text: string) => void;
  #passed = 0;
  #failed = 0;

  constructor(write: (text: string) => void = (text) => console.log(text)) {
    this.#write = write;
  }

  get failed(): number {
    return this.#failed;
  }

  /** Something that takes a while begins. */
  begin(what: string): void {
    this.#write(`… ${what}`);
  }

  /** A step is done; with `problems` it failed. */
  step(name: string, what: string, problems: readonly string[] = []): void {
    if (problems.length === 0) {
      this.#passed++;
      return this.#write(`✓ ${name}: ${what}`);
    }
    this.#failed++;
    this.#write(`✗ ${name}: ${what}`);
    for (const problem of problems) this.#write(indented(problem));
  }

  /** Text for whoever looks into a failure. */
  detail(title: string, text: string): void {
    this.#write(`--- ${title}\n${indented(text.trimEnd())}`);
  }

  /** The last line, which never calls a test without a check passed. */
  summary(): void {
    this.#write(`${this.#passed} steps passed, ${this.#failed} failed`);
  }
}

function indented(text: string): string {
  return text.split("\n").map((line) => `    ${line}`).join("\n");
}
