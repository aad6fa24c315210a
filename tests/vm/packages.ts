/** Kernels and the emulator out of Debian's packages, unpacked below the cache and nowhere else. */
import { run } from "../commands.ts";
import { PrivateApt } from "./apt.ts";
import type { Architecture, KernelPackage } from "./kernels.ts";

/** A kernel unpacked. */
export interface Kernel {
  readonly name: string;
  readonly architecture: Architecture;
  /** As `uname -r` tells it. */
  readonly release: string;
  readonly image: string;
  /** Holds `lib/modules/RELEASE`. */
  readonly root: string;
}

/** Downloads and unpacks a kernel below `cache`, unless its newest version is there. */
export async function fetchKernel(
  { name, architecture, suite, image, also }: KernelPackage,
  cache: string,
): Promise<Kernel> {
  const apt = await aptOf(suite, architecture, cache);
  const newest = (await apt.names(image)).at(-1);
  const release = newest?.match(image)?.[1];
  if (newest === undefined || release === undefined) {
    throw new Error(`Cannot find kernel ${name}: no package of ${suite} matches ${image}`);
  }
  const root = `${cache}/kernels/${release}`;
  if (!isDirectory(root)) {
    const unpacked = await Deno.makeTempDir({ dir: cache });
    await apt.unpack([newest, ...also.map((prefix) => prefix + release)], unpacked);
    // Where /lib is a link to usr/lib, packages only have the latter.
    if (!isDirectory(`${unpacked}/lib/modules`)) await Deno.symlink("usr/lib", `${unpacked}/lib`);
    await run("depmod", ["--basedir", unpacked, release]);
    await Deno.mkdir(`${cache}/kernels`, { recursive: true });
    await Deno.rename(unpacked, root);
  }
  const images = [`${root}/boot/vmlinuz-${release}`, `${root}/lib/modules/${release}/vmlinuz`];
  const found = images.find(isFile);
  if (found === undefined) throw new Error(`Cannot find the image of kernel ${release} in ${root}`);
  return { name, architecture, release, image: found, root };
}

/** Debian's packages of a release for an architecture. */
export function aptOf(suite: string, architecture: Architecture, cache: string): Promise<PrivateApt> {
  return PrivateApt.open(`${cache}/apt-${suite}-${architecture}`, [suite], architecture);
}

/** The emulator's command, and options that say where its firmware is. */
export type Emulator = readonly [command: string, ...options: string[]];

const EMULATORS: Readonly<Record<Architecture, { command: string; packages: readonly string[] }>> = {
  amd64: { command: "qemu-system-x86_64", packages: ["qemu-system-x86", "seabios"] },
  arm64: { command: "qemu-system-aarch64", packages: ["qemu-system-arm"] },
};
const EMULATOR_SUITE = "bookworm-backports";
/** Version 7.2, which Debian 12 has, now and then corrupts registers of the processor it emulates. */
const FIRST_GOOD_MAJOR = 8;

/**
 * This machine's emulator, or a newer one unpacked below `cache` where this machine's is not there or known to be
 * bad. Where the newer one does not run (it takes other libraries) it is this machine's all the same.
 */
export async function findEmulator(architecture: Architecture, cache: string): Promise<Emulator> {
  const { command, packages } = EMULATORS[architecture];
  if (await majorVersion([command]) >= FIRST_GOOD_MAJOR) return [command];
  const root = `${cache}/qemu-${architecture}`;
  const firmware = ["qemu", "seabios"].flatMap((name) => ["-L", `${root}/usr/share/${name}`]);
  const unpacked: Emulator = [`${root}/usr/bin/${command}`, ...firmware];
  if (!isDirectory(root)) {
    const apt = await aptOf(EMULATOR_SUITE, "amd64", cache);
    const target = await Deno.makeTempDir({ dir: cache });
    await apt.unpack([...packages, "qemu-system-common", "qemu-system-data"], target);
    await Deno.rename(target, root);
  }
  if (await majorVersion(unpacked) >= FIRST_GOOD_MAJOR) return unpacked;
  console.error(`${root} does not run here: taking this machine's ${command}, which may fail now and then`);
  return [command];
}

async function majorVersion([command]: Emulator): Promise<number> {
  const text = await run(command, ["--version"]).catch(() => "");
  return Number(/version (\d+)\./.exec(text)?.[1] ?? 0);
}

function isDirectory(path: string): boolean {
  return stat(path)?.isDirectory ?? false;
}

function isFile(path: string): boolean {
  return stat(path)?.isFile ?? false;
}

function stat(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch {
    return undefined;
  }
}
