/** Debian packages of any release, without a trace in this machine's own package lists. */
import { isThere } from "../../native/tools.ts";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** The mirror that this machine's own sources name, or DEBIAN_MIRROR. */
export function debianMirror(): string {
  const mirror = Deno.env.get("DEBIAN_MIRROR") ?? mirrorOf(ownSources());
  if (mirror !== undefined) return mirror;
  throw new Error(
    "Cannot find a Debian mirror: /etc/apt names none; set DEBIAN_MIRROR to the URL of one (…/debian)",
  );
}

/** The first address of packages in apt's two formats whose path ends in `debian`. */
export function mirrorOf(sources: string): string | undefined {
  const lines = sources.split("\n").map((line) => line.replace(/#.*/, ""));
  const addresses = lines.flatMap((line) => /^(?:deb\s|URIs:)/.test(line) ? line.split(/\s+/) : []);
  return addresses.find((word) => /^https?:\/\/.*\/debian\/?$/.test(word))?.replace(/\/$/, "");
}

function ownSources(): string {
  const texts: string[] = [];
  const read = (path: string) => {
    try {
      texts.push(Deno.readTextFileSync(path));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  };
  read("/etc/apt/sources.list");
  for (const { name } of entries("/etc/apt/sources.list.d")) read(`/etc/apt/sources.list.d/${name}`);
  return texts.join("\n");
}

function entries(directory: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(directory)];
  } catch {
    return [];
  }
}

/** apt with lists of its own. */
export class PrivateApt {
  readonly #options: readonly string[];

  private constructor(private readonly directory: string, architecture: string) {
    this.#options = [
      `Dir::Etc::sourcelist=${directory}/sources.list`,
      "Dir::Etc::sourceparts=/nonexistent",
      `Dir::State::lists=${directory}/lists`,
      // What is installed here is nothing to it.
      `Dir::State::status=${directory}/status`,
      `Dir::Cache=${directory}/cache`,
      "APT::Sandbox::User=root",
      `APT::Architecture=${architecture}`,
      `APT::Architectures=${architecture}`,
    ].flatMap((option) => ["-o", option]);
  }

  /** Lists of these releases ("bookworm"), for one architecture ("amd64"). */
  static async open(directory: string, suites: readonly string[], architecture: string): Promise<PrivateApt> {
    await Deno.mkdir(`${directory}/lists/partial`, { recursive: true });
    await Deno.mkdir(`${directory}/cache/archives/partial`, { recursive: true });
    await Deno.writeTextFile(`${directory}/status`, "");
    const signed = isThere(KEYRING) ? `signed-by=${KEYRING}` : "trusted=yes";
    const mirror = debianMirror();
    await Deno.writeTextFile(
      `${directory}/sources.list`,
      suites.map((suite) => `deb [arch=${architecture} ${signed}] ${mirror} ${suite} main\n`).join(""),
    );
    const apt = new PrivateApt(directory, architecture);
    await apt.#run("apt-get", ["update", "--quiet=2"]);
    return apt;
  }

  /** Names of packages that match, the newest version last. */
  async names(pattern: RegExp): Promise<string[]> {
    const found = (await this.#run("apt-cache", ["pkgnames"])).split("\n").filter((name) =>
      pattern.test(name)
    );
    return found.sort((one, other) => one.localeCompare(other, undefined, { numeric: true }));
  }

  /** Downloads packages and unpacks them below `target`. */
  async unpack(packages: readonly string[], target: string): Promise<void> {
    const downloads = await Deno.makeTempDir({ dir: this.directory });
    await this.#run("apt-get", ["download", "--quiet=2", ...packages], downloads);
    await Deno.mkdir(target, { recursive: true });
    for await (const { name } of Deno.readDir(downloads)) {
      await run("dpkg", ["--extract", `${downloads}/${name}`, target]);
    }
    await Deno.remove(downloads, { recursive: true });
  }

  #run(command: string, args: readonly string[], cwd?: string): Promise<string> {
    return run(command, [...this.#options, ...args], cwd);
  }
}

/** Runs a command and returns what it prints; its messages are part of the error. */
export async function run(command: string, args: readonly string[], cwd?: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    ...(cwd === undefined ? {} : { cwd }),
    stdin: "null",
  }).output();
  if (success) return new TextDecoder().decode(stdout);
  throw new Error(`"${command} ${args.join(" ")}" failed: ${new TextDecoder().decode(stderr).trim()}`);
}
