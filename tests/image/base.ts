/**
 * A stand-in for the base image, which needs no registry of images: the same distribution from the archive that this
 * machine installs packages from. It also has what this machine needs to reach its package registries; the agent's
 * image is made of files copied out of it, and so does not.
 */
import { dirname } from "node:path";
import { isThere } from "../../native/tools.ts";
import { type Archive, debianArchives, mirrorOf } from "../archive.ts";
import { run, runContained } from "./commands.ts";

/** The base image that a Dockerfile's stages are made from. */
export function baseOf(dockerfile: string): { readonly name: string; readonly suite: string } {
  const names = [...dockerfile.matchAll(/^FROM (\S+:\S+)/gm)].map(([, name = ""]) => name);
  const [name = "", ...others] = new Set(names);
  const suite = /^debian:(\w+)-slim$/.exec(name)?.[1];
  if (suite === undefined || others.length > 0) {
    throw new Error(
      `Cannot make a stand-in for the base image: got ${names.join(", ")}; it has to be one debian:…-slim`,
    );
  }
  return { name, suite };
}

/** Writes what the stand-in is built from into a directory. The distribution stays there and is not made again. */
export async function prepareBase(directory: string, suite: string): Promise<void> {
  const archives = await archivesOf(suite);
  const settings = `${directory}/settings`;
  await Deno.mkdir(directory, { recursive: true });
  await Deno.remove(settings, { recursive: true }).catch(ignoreMissing);
  const write = async (path: string, text: string) => {
    await Deno.mkdir(dirname(`${settings}/${path}`), { recursive: true });
    await Deno.writeTextFile(`${settings}/${path}`, text);
  };
  await write(
    "etc/apt/sources.list",
    archives.map(({ uri, suite }) => `deb ${uri} ${suite} main\n`).join(""),
  );
  await write("etc/apt/apt.conf.d/90machine", await aptSettings());
  await write("root/.npmrc", await npmSettings());
  const authorities = await certificateAuthorities();
  if (authorities !== undefined) await write("etc/machine-ca.crt", authorities);
  const tar = `${suite}.tar`;
  await Deno.writeTextFile(
    `${directory}/Dockerfile`,
    `FROM scratch\nADD ${tar} /\nCOPY settings /\n` +
      (authorities === undefined ? "" : "ENV NODE_EXTRA_CA_CERTS=/etc/machine-ca.crt\n"),
  );
  await makeTar(`${directory}/${tar}`, suite, archives[0]?.uri ?? "");
}

async function makeTar(tar: string, suite: string, uri: string): Promise<void> {
  if (await Deno.stat(tar).then(() => true, () => false)) return;
  console.error(`making a minimal ${suite} from ${uri}`);
  const root = `${tar}.root`;
  await Deno.remove(root, { recursive: true }).catch(ignoreMissing);
  try {
    await runContained(["debootstrap", "--variant=minbase", suite, root, uri]);
    await run("tar", ["--create", "--file", `${tar}.part`, "--directory", root, "."]);
    await Deno.rename(`${tar}.part`, tar);
  } finally {
    await Deno.remove(root, { recursive: true }).catch(ignoreMissing);
  }
}

/** This machine's archives of a suite, the suite itself first. */
async function archivesOf(suite: string): Promise<readonly Archive[]> {
  const archives = await debianArchives();
  const own = archives.filter((archive) => archive.suite.startsWith(suite));
  if (own.some((archive) => archive.suite === suite)) {
    return own.toSorted((one, other) => one.suite.length - other.suite.length);
  }
  const uri = mirrorOf(archives);
  if (uri !== undefined) return [{ uri, suite }];
  throw new Error(
    "Cannot make a stand-in for the base image: got no archive of Debian's from `apt-get indextargets`; " +
      "run this on Debian, or build the image with an engine that pulls its base, as `docker build .`",
  );
}

/** How apt reaches its archives: proxies and the like. */
async function aptSettings(): Promise<string> {
  const all = await run("apt-config", ["dump"]);
  return [...all.matchAll(/^Acquire::https?::.+$/gm)].map(([line]) => `${line}\n`).join("");
}

/** Which registry npm asks, and what it says to it; nothing where npm is not installed. */
async function npmSettings(): Promise<string> {
  const registry = await npmSetting("registry");
  if (registry === "") return "";
  const user = await Deno.readTextFile(await npmSetting("userconfig")).catch(() => "");
  const registries = user.split("\n").filter((line) => /^(?:\/\/|@)/.test(line));
  return [`registry=${registry}`, ...registries, ""].join("\n");
}

/** Who else may sign a registry's certificate. */
async function certificateAuthorities(): Promise<string | undefined> {
  const file = Deno.env.get("NODE_EXTRA_CA_CERTS") ?? await npmSetting("cafile");
  return await Deno.readTextFile(file).catch(() => undefined);
}

async function npmSetting(name: string): Promise<string> {
  return isThere("npm") ? (await run("npm", ["config", "get", name])).trim() : "";
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
