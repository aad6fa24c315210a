/** What a virtual machine starts from: a small first file system, Debian's user space, and the built project. */
import { run } from "../commands.ts";
import { debianMirror } from "./apt.ts";
import { isThere } from "../../native/tools.ts";
import { busyboxFor, denoFor } from "./foreign.ts";
import { type Architecture, OWN_ARCHITECTURE } from "./kernels.ts";
import type { Kernel } from "./packages.ts";

/** What the tests call, beyond what every Debian has. */
const PACKAGES = [
  "iproute2",
  "iputils-ping",
  "kmod",
  "libbpf1",
  "libcap2-bin",
  "nftables",
  "openssl",
  "procps",
];
/** What the first file system needs to find the disks. */
const BOOT_MODULES = ["virtio_pci", "virtio_blk", "overlay"];

/** Mounts the two disks, the first beneath a layer in memory, and goes on there. */
const INIT = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod $module; done
$b mount -t ext4 -o ro /dev/vda /base
$b mount -t tmpfs tmpfs /layer
$b mkdir /layer/upper /layer/work
$b mount -t overlay -o lowerdir=/base,upperdir=/layer/upper,workdir=/layer/work overlay /root
$b mkdir -p /root/project
$b mount -t ext4 /dev/vdb /root/project
for directory in proc sys dev; do $b mount --move /$directory /root/$directory; done
exec $b switch_root /root /bin/bash /project/guest.sh
`;

/** Debian's user space and Deno, as an image that all machines share; made once for each version of what is in it. */
export async function baseDisk(architecture: Architecture, cache: string): Promise<string> {
  const key = `${architecture} ${PACKAGES.join()} ${Deno.version.deno}`;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  const disk = `${cache}/base-${new Uint8Array(hash).toHex().slice(0, 12)}.ext4`;
  if (isThere(disk)) return disk;
  const tree = await Deno.makeTempDir({ dir: cache, prefix: "base-" });
  try {
    await fillBase(tree, architecture, cache);
    await makeDisk(tree, `${disk}.new`, 800);
    await Deno.rename(`${disk}.new`, disk);
  } finally {
    await Deno.remove(tree, { recursive: true });
  }
  return disk;
}

async function fillBase(tree: string, architecture: Architecture, cache: string): Promise<void> {
  const options = ["--variant=minbase", `--arch=${architecture}`, `--include=${PACKAGES.join()}`];
  // Another architecture's packages are unpacked only: none of their scripts can run here.
  const isForeign = architecture !== OWN_ARCHITECTURE;
  if (isForeign) options.push("--foreign");
  await run("debootstrap", [...options, "bookworm", tree, await debianMirror()]);
  if (isForeign) {
    await shell(
      'for package in "$0"/var/cache/apt/archives/*.deb; do dpkg --extract $package "$0"; done',
      tree,
    );
  }
  await shell(
    'mkdir --parents "$0/usr/local/bin" && cp "$1" "$0/usr/local/bin/deno"',
    tree,
    await denoFor(architecture, cache),
  );
  for (const waste of ["var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"]) {
    await shell('rm --recursive --force "$0"', `${tree}/${waste}`);
  }
}

/** A module of `modules.dep` after all that it needs; nothing where it is a part of the kernel itself. */
export function withDependencies(modulesDep: string, module: string): string[] {
  const line = modulesDep.split("\n").find((each) => new RegExp(`(?:^|/)${module}\\.ko[.\\w]*:`).test(each));
  return line === undefined ? [] : line.split(/[:\s]+/).filter(Boolean).reverse();
}

/** The compressed first file system of a kernel. */
export async function initialFileSystem(
  { architecture, root, release }: Kernel,
  cache: string,
  directory: string,
): Promise<string> {
  const tree = `${directory}/initial`;
  for (const name of ["bin", "modules", "proc", "sys", "dev", "base", "layer", "root"]) {
    await Deno.mkdir(`${tree}/${name}`, { recursive: true });
  }
  await Deno.copyFile(await busyboxFor(architecture, cache), `${tree}/bin/busybox`);
  await Deno.writeTextFile(`${tree}/init`, INIT, { mode: 0o755 });
  const directoryOfModules = `${root}/lib/modules/${release}`;
  const dependencies = await Deno.readTextFile(`${directoryOfModules}/modules.dep`);
  const needed = BOOT_MODULES.flatMap((module) => withDependencies(dependencies, module));
  const modules = new Set(needed.map((path) => `${directoryOfModules}/${path}`));
  for (const [index, path] of [...modules].entries()) {
    const unpack = path.endsWith(".xz") ? "xz" : path.endsWith(".zst") ? "zstd" : undefined;
    const target = `${tree}/modules/${String(index).padStart(2, "0")}.ko`;
    if (unpack === undefined) await Deno.copyFile(path, target);
    else await shell(`${unpack} --decompress --stdout "$0" > "$1"`, path, target);
  }
  const image = `${directory}/initial.img`;
  await shell('cd "$0" && find . | cpio --create --format=newc --quiet | zstd --quiet -o "$1"', tree, image);
  return image;
}

/** The project as built here, the kernel's modules and the scripts that the machine runs. */
export async function projectDisk(
  project: string,
  /** Directories whose files take the place of the project's. */
  overlays: readonly string[],
  { root }: Kernel,
  scripts: Readonly<Record<string, string>>,
  directory: string,
): Promise<string> {
  const tree = `${directory}/project`;
  await Deno.mkdir(`${tree}/src`, { recursive: true });
  // What git knows of, and what the build made; not what lies about.
  await shell(
    `cd "$0" && { git ls-files; git ls-files --others --exclude-standard
       ls bpf/*.bpf.o; find native/build tests/kernel/build tests/lab/build node_modules; } |
       { while read -r file; do [ -e "$file" ] && echo "$file"; done; } | cpio --pass-through --make-directories --quiet "$1"`,
    project,
    `${tree}/src`,
  );
  for (const overlay of overlays) await shell('cp --recursive "$0/." "$1/src"', overlay, tree);
  await shell('cp --recursive "$0/lib/modules" "$1/modules"', root, tree);
  for (const [name, text] of Object.entries(scripts)) await Deno.writeTextFile(`${tree}/${name}`, text);
  const disk = `${directory}/project.ext4`;
  await makeDisk(tree, disk, 1_500);
  await Deno.remove(tree, { recursive: true });
  return disk;
}

async function makeDisk(tree: string, disk: string, megabytes: number): Promise<void> {
  await run("mke2fs", ["-q", "-t", "ext4", "-d", tree, disk, `${megabytes}M`]);
}

function shell(script: string, ...args: readonly string[]): Promise<string> {
  return run("sh", ["-ec", script, ...args]);
}
