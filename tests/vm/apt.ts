/** Debian packages of any release, without a trace in this machine's own package lists. */
import { isThere } from "../../native/tools.ts";
import { debianArchives, mirrorOf } from "../archive.ts";
import { CannotRun, run } from "../commands.ts";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** The archive of all releases: DEBIAN_MIRROR, or the one that this machine's packages come from. */
export async function debianMirror(): Promise<string> {
  const mirror = Deno.env.get("DEBIAN_MIRROR") ?? mirrorOf(await debianArchives());
  if (mirror !== undefined) return mirror;
  throw new CannotRun(
    "Cannot find Debian's archive: `apt-get indextargets` names none; set DEBIAN_MIRROR to its URL (…/debian)",
  );
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
    const mirror = await debianMirror();
    await Deno.writeTextFile(
      `${directory}/sources.list`,
      suites.map((suite) => `deb [arch=${architecture} ${signed}] ${mirror} ${suite} main\n`).join(""),
    );
    const apt = new PrivateApt(directory, architecture);
    // No error of apt's where the archive cannot be reached: it goes on with the lists that it has.
    await apt.#run("apt-get", ["update", "--quiet=2"]);
    if ((await apt.#everyName()).length === 0) {
      throw new CannotRun(`Cannot get the lists of packages of ${suites.join(", ")} from ${mirror}`);
    }
    return apt;
  }

  /** Names of packages that match, the newest version last. */
  async names(pattern: RegExp): Promise<string[]> {
    const found = (await this.#everyName()).filter((name) => pattern.test(name));
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

  async #everyName(): Promise<string[]> {
    return (await this.#run("apt-cache", ["pkgnames"])).split("\n").filter(Boolean);
  }

  #run(command: string, args: readonly string[], cwd = this.directory): Promise<string> {
    return run(command, [...this.#options, ...args], { cwd });
  }
}
