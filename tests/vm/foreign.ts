/** The project and its runtime for the architecture that is not this machine's. */
import { isThere } from "../../native/tools.ts";
import { run } from "../commands.ts";
import { type Architecture, OWN_ARCHITECTURE } from "./kernels.ts";
import { aptOf } from "./packages.ts";

const SUITE = "bookworm";
/** What the native library is linked with. */
const LIBRARIES = ["libbpf-dev", "libbpf1", "libelf1", "zlib1g"];
const KOFFI = /^koffi@(.+)$/;

/** A busybox without libraries for the first file system. */
export async function busyboxFor(architecture: Architecture, cache: string): Promise<string> {
  if (architecture === OWN_ARCHITECTURE) return "/bin/busybox";
  return `${await unpacked("busybox", ["busybox-static"], architecture, cache)}/bin/busybox`;
}

/** Deno as npm has it, in the newest version of this one's line. */
export async function denoFor(architecture: Architecture, cache: string): Promise<string> {
  if (architecture === OWN_ARCHITECTURE) return Deno.execPath();
  const line = Deno.version.deno.split(".").slice(0, 2).join(".");
  return `${await npmPackage(`@deno/linux-${architecture}-glibc@${line}`, cache)}/deno`;
}

/** Builds for arm64 what `deno task build` builds here; returns a directory laid out as the project's. */
export async function foreignBuild(project: string, cache: string, directory: string): Promise<string> {
  const target = `${directory}/foreign`;
  const sysroot = await unpacked("libraries", LIBRARIES, "arm64", cache);
  await run(Deno.execPath(), [
    ...["run", "--allow-all", `${project}native/build.ts`],
    ...["--target", "aarch64", "--sysroot", sysroot, "--output", target],
  ]);
  const version = [...Deno.readDirSync(`${project}node_modules/.deno`)]
    .map(({ name }) => KOFFI.exec(name)?.[1]).find((found) => found !== undefined);
  const koffi = await npmPackage(`@koromix/koffi-linux-arm64@${version}`, cache);
  // As Deno lays out what it installs.
  const own = `${target}/node_modules/.deno/@koromix+koffi-linux-arm64@${version}`;
  await Deno.mkdir(`${own}/node_modules/@koromix`, { recursive: true });
  await run("cp", ["--recursive", koffi, `${own}/node_modules/@koromix/koffi-linux-arm64`]);
  await Deno.writeTextFile(`${own}/.initialized`, "");
  return target;
}

async function unpacked(
  name: string,
  packages: readonly string[],
  architecture: Architecture,
  cache: string,
): Promise<string> {
  const root = `${cache}/${name}-${architecture}`;
  if (!isThere(`${root}/.complete`)) {
    await (await aptOf(SUITE, architecture, cache)).unpack(packages, root);
    await Deno.writeTextFile(`${root}/.complete`, "");
  }
  return root;
}

/** The contents of a package of npm's registry, by npm's own client. */
async function npmPackage(specifier: string, cache: string): Promise<string> {
  const root = `${cache}/npm-${specifier.replaceAll("/", "-")}`;
  if (!isThere(`${root}/package/package.json`)) {
    await Deno.mkdir(root, { recursive: true });
    await run("npm", ["pack", "--silent", specifier], { cwd: root });
    for (const { name } of [...Deno.readDirSync(root)].filter(({ name }) => name.endsWith(".tgz"))) {
      await run("tar", ["--extract", "--gzip", "--file", name], { cwd: root });
    }
  }
  return `${root}/package`;
}
