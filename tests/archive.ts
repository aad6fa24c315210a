/** Debian's archive as this machine installs packages from it, mirrors and proxies included. */
import { run } from "./commands.ts";

/** One release in one place, as apt's sources name them. */
export interface Archive {
  readonly uri: string;
  /** `bookworm`, `bookworm-updates`. */
  readonly suite: string;
}

const COLUMNS = "$(ORIGIN)\t$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)";

/** Debian's archives that apt has lists of, which are fetched if there are none; empty on another distribution. */
export async function debianArchives(): Promise<readonly Archive[]> {
  const known = await listed();
  if (known.length > 0) return known;
  await run("apt-get", ["update", "--quiet=2"]);
  return await listed();
}

async function listed(): Promise<readonly Archive[]> {
  return archivesIn(await run("apt-get", ["indextargets", "--format", COLUMNS, "Created-By: Packages"]));
}

/** Debian's among the lines that `apt-get indextargets` prints: origin, URI, release and component, between tabs. */
export function archivesIn(text: string): Archive[] {
  return text.split("\n").map((line) => line.split("\t")).flatMap((
    [origin, uri = "", suite = "", component],
  ) => origin === "Debian" && component === "main" ? [{ uri, suite }] : []);
}

/** Where all releases are: updates and security fixes may lie elsewhere. */
export function mirrorOf(archives: readonly Archive[]): string | undefined {
  return archives.find(({ suite }) => /^\w+$/.test(suite))?.uri;
}
