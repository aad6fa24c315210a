/** What is wrong with a web configuration file, one line each, without its path. */
export class WebConfigProblems extends Error {
  constructor(readonly problems: readonly string[], cause?: unknown) {
    super(problems.join("\n"), { cause });
  }
}

/** A web configuration file that cannot be used; the message has one line for each problem. */
export class WebConfigError extends Error {
  override readonly name = "WebConfigError";

  constructor(path: string, readonly problems: readonly string[]) {
    super(
      `Cannot use the web configuration ${path}:\n${problems.map((problem) => `  ${problem}`).join("\n")}`,
    );
  }
}
