/** Builds the image from the Dockerfile, and unpacks it. */
import { fileURLToPath } from "node:url";
import { baseOf, prepareBase } from "./base.ts";
import { run, runContained } from "./commands.ts";
import { IMAGE_DIRECTORY, type ImageManifest } from "./image.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const STORE = `${IMAGE_DIRECTORY}/store`;

/** Builds what has changed since the last time, and leaves it unpacked in the image's directory. */
export async function buildImage(): Promise<void> {
  const dockerfile = await Deno.readTextFile(`${ROOT}/Dockerfile`);
  const base = baseOf(dockerfile);
  await prepareBase(`${IMAGE_DIRECTORY}/base`, base.suite);
  const buildah = await openStore();
  // What a build that was stopped has left.
  await buildah("rm", "--all");
  const build = (tag: string, directory: string, ...args: string[]) => {
    console.error(`building ${tag}`);
    return buildah(
      "build",
      "--layers",
      "--pull-never",
      // Files and the image are of the epoch, so that the same files make the same image.
      "--timestamp=0",
      `--tag=${tag}`,
      ...args,
      directory,
    );
  };
  await build(base.name, `${IMAGE_DIRECTORY}/base`);
  // Only images with a name, and what they were made from, outlive the cleaning of the store.
  for (const [, stage] of dockerfile.matchAll(/^FROM \S+ AS (\w+)$/gm)) {
    await build(`kpod-metrics:${stage}`, ROOT, `--target=${stage}`);
  }
  await build("kpod-metrics", ROOT);
  await buildah("rmi", "--prune");
  await Deno.remove(`${IMAGE_DIRECTORY}/oci`, { recursive: true }).catch(() => {});
  await buildah("push", "kpod-metrics", `oci:${IMAGE_DIRECTORY}/oci`);
  await unpack();
}

type Buildah = (...args: string[]) => Promise<string>;

/** Opens a store of images apart from the machine's own. */
async function openStore(): Promise<Buildah> {
  const withDriver = (driver: string): Buildah => (...args) =>
    runContained([
      "buildah",
      `--root=${STORE}`,
      `--runroot=${IMAGE_DIRECTORY}/run`,
      `--storage-driver=${driver}`,
      ...args,
    ]);
  const overlay = withDriver("overlay");
  // The other one copies all files for each step, but works everywhere.
  return await overlay("info").then(() => overlay, () => withDriver("vfs"));
}

async function unpack(): Promise<void> {
  const blob = (digest: string) => `${IMAGE_DIRECTORY}/oci/blobs/${digest.replace(":", "/")}`;
  const read = async (path: string) => JSON.parse(await Deno.readTextFile(path));
  const index = await read(`${IMAGE_DIRECTORY}/oci/index.json`);
  const manifest: ImageManifest = await read(blob(index.manifests[0].digest));
  await Deno.remove(`${IMAGE_DIRECTORY}/rootfs`, { recursive: true }).catch(() => {});
  await Deno.mkdir(`${IMAGE_DIRECTORY}/rootfs`);
  for (const { digest } of manifest.layers) {
    await run("tar", [
      "--extract",
      "--gzip",
      "--preserve-permissions",
      "--same-owner",
      `--file=${blob(digest)}`,
      `--directory=${IMAGE_DIRECTORY}/rootfs`,
    ]);
  }
  await Deno.copyFile(blob(manifest.config.digest), `${IMAGE_DIRECTORY}/config.json`);
  await Deno.writeTextFile(`${IMAGE_DIRECTORY}/manifest.json`, JSON.stringify(manifest));
}
