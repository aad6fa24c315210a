/** Build and test tools that come from the distribution: found, or installed where that is possible. */

/** A program or header that a task needs, and the Debian package that has it. */
export interface Tool {
  /** A program on PATH, or the absolute path of a file. */
  readonly provides: string;
  readonly package: string;
}

export const BUILD_TOOLS: readonly Tool[] = [
  { provides: "clang", package: "clang" },
  { provides: "gcc", package: "gcc" },
  { provides: "/usr/include/stdio.h", package: "libc6-dev" },
  { provides: "/usr/include/bpf/libbpf.h", package: "libbpf-dev" },
];

export const LAB_TOOLS: readonly Tool[] = [
  { provides: "ip", package: "iproute2" },
  { provides: "nft", package: "nftables" },
  { provides: "openssl", package: "openssl" },
];

export const TEST_TOOLS: readonly Tool[] = [
  { provides: "prometheus", package: "prometheus" },
  { provides: "promtool", package: "prometheus" },
];

/** What benchmarks compare with. */
export const BENCH_TOOLS: readonly Tool[] = [
  { provides: "runqlat", package: "libbpf-tools" },
  { provides: "syscount", package: "libbpf-tools" },
];

/** To build the container image, and to run it as a node would. */
export const IMAGE_TOOLS: readonly Tool[] = [
  { provides: "buildah", package: "buildah" },
  { provides: "debootstrap", package: "debootstrap" },
  { provides: "crun", package: "crun" },
];

/** For running other kernels: an emulator, and what makes its disks. */
export const VM_TOOLS: readonly Tool[] = [
  { provides: "qemu-system-x86_64", package: "qemu-system-x86" },
  { provides: "debootstrap", package: "debootstrap" },
  { provides: "mke2fs", package: "e2fsprogs" },
  { provides: "depmod", package: "kmod" },
  { provides: "cpio", package: "cpio" },
  { provides: "xz", package: "xz-utils" },
  { provides: "zstd", package: "zstd" },
  { provides: "/bin/busybox", package: "busybox-static" },
];

/** Besides, where the other kernel's architecture is another. */
export const FOREIGN_TOOLS: readonly Tool[] = [
  { provides: "aarch64-linux-gnu-gcc", package: "gcc-aarch64-linux-gnu" },
  { provides: "/usr/aarch64-linux-gnu/include/stdio.h", package: "libc6-dev-arm64-cross" },
  { provides: "npm", package: "npm" },
];

export const FORMAT_TOOLS: readonly Tool[] = [{ provides: "clang-format", package: "clang-format" }];

/** The runtime of clang's sanitizers and of libFuzzer, which is of one version with the clang there is. */
export function fuzzTools(): readonly Tool[] {
  if (!isThere("clang")) return BUILD_TOOLS.filter(({ provides }) => provides === "clang");
  const [version] = clang("-dumpversion").split(".");
  const library = clang(`-print-file-name=libclang_rt.fuzzer-${Deno.build.arch}.a`);
  return [{ provides: library, package: `libclang-rt-${version}-dev` }];
}

/** What clang says of itself. */
function clang(argument: string): string {
  return new TextDecoder().decode(new Deno.Command("clang", { args: [argument] }).outputSync().stdout).trim();
}

/** Tools that are not there and cannot be installed; the message says what to do. */
export class MissingTools extends Error {
  override readonly name = "MissingTools";
}

/** As `installTools`, but instead of throwing it prints what to install and exits with status 1. */
export async function ensureTools(...lists: readonly (readonly Tool[])[]): Promise<void> {
  try {
    await installTools(...lists);
  } catch (error) {
    if (!(error instanceof MissingTools)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}

/**
 * Makes sure that all tools are there: installs what is missing by apt when running as root on a Debian-like system,
 * and says so.
 *
 * @throws {MissingTools} where that is not possible.
 */
export async function installTools(...lists: readonly (readonly Tool[])[]): Promise<void> {
  const missing = lists.flat().filter((tool) => !isThere(tool.provides));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => tool.package))];
  const names = missing.map((tool) => tool.provides).join(", ");
  const install = ["apt-get", "install", "--yes", "--no-install-recommends", ...packages];
  if (Deno.uid() !== 0 || !isThere("apt-get")) {
    throw new MissingTools(
      `Cannot find ${names}. Install the packages that have them, on Debian or Ubuntu by:\n  sudo ${
        install.join(" ")
      }`,
    );
  }
  console.error(`Cannot find ${names}: installing ${packages.join(", ")}`);
  await apt("update", "--quiet=2");
  await apt(...install.slice(1), "--quiet=2");
  const still = missing.filter((tool) => !isThere(tool.provides));
  if (still.length > 0) {
    throw new MissingTools(
      `Cannot find ${still.map((tool) => tool.provides).join(", ")} even after installing`,
    );
  }
}

/**
 * Unpacks packages below `directory` instead of installing them, for programs whose package would start a service,
 * and returns a search path with their programs in front. What is on PATH already, or cannot be had here, is left as
 * it is: the tests that need it say that they are skipped.
 */
export async function unpackTools(tools: readonly Tool[], directory: string): Promise<string> {
  const path = Deno.env.get("PATH") ?? "";
  const binaries = [`${directory}/usr/bin`, `${directory}/usr/sbin`];
  const missing = tools.filter(({ provides }) =>
    ![provides, ...binaries.map((binary) => `${binary}/${provides}`)].some(isThere)
  );
  if (missing.length > 0 && isThere("apt-get")) {
    const packages = [...new Set(missing.map((tool) => tool.package))];
    console.error(
      `Cannot find ${missing.map((tool) => tool.provides).join(", ")}: unpacking ${packages.join(", ")}`,
    );
    await Deno.mkdir(directory, { recursive: true });
    // With the lists that there are it may be downloaded all the same.
    if (Deno.uid() === 0) await apt("update", "--quiet=2").catch(() => {});
    const { success } = await new Deno.Command("apt-get", {
      args: ["download", "--quiet=2", ...packages],
      cwd: directory,
    }).output();
    for await (const { name } of success ? Deno.readDir(directory) : []) {
      if (!name.endsWith(".deb")) continue;
      await new Deno.Command("dpkg", { args: ["--extract", name, "."], cwd: directory }).output();
      await Deno.remove(`${directory}/${name}`);
    }
  }
  return [...binaries, path].join(":");
}

async function apt(...args: string[]): Promise<void> {
  const { success } = await new Deno.Command("apt-get", {
    args,
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "null",
  }).output();
  if (!success) throw new MissingTools(`Cannot install: "apt-get ${args.join(" ")}" failed`);
}

/** Whether a program is on PATH, or a file at an absolute path. */
export function isThere(provides: string): boolean {
  const paths = provides.startsWith("/")
    ? [provides]
    // Not every user's PATH has the directories that ip and nft are in.
    : [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/sbin"].map((directory) =>
      `${directory}/${provides}`
    );
  return paths.some((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}
