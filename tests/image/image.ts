/** The image that was built: where it is unpacked, and what it says of itself. */
import { fileURLToPath } from "node:url";

/** Also the cache: what may be removed at any time. */
export const IMAGE_DIRECTORY = fileURLToPath(new URL("../build/image", import.meta.url));
export const ROOTFS = `${IMAGE_DIRECTORY}/rootfs`;

/** As a registry holds it (OCI image specification). */
export interface ImageManifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
}

export interface ImageConfig {
  readonly architecture: string;
  readonly config: {
    readonly User?: string;
    readonly Env: readonly string[];
    readonly Entrypoint: readonly string[];
    readonly Cmd?: readonly string[];
    readonly WorkingDir: string;
    readonly ExposedPorts: Readonly<Record<string, unknown>>;
    readonly Labels: Readonly<Record<string, string>>;
    readonly Healthcheck?: unknown;
  };
  readonly history: readonly unknown[];
}

/** One file, directory or link of the image. */
export interface ImageFile {
  /** From the image's root. */
  readonly path: string;
  readonly info: Deno.FileInfo;
}

export function imageConfig(): ImageConfig {
  return read("config.json") as ImageConfig;
}

export function imageManifest(): ImageManifest {
  return read("manifest.json") as ImageManifest;
}

function read(name: string): unknown {
  try {
    return JSON.parse(Deno.readTextFileSync(`${IMAGE_DIRECTORY}/${name}`));
  } catch (cause) {
    throw new Error(`Cannot find the image in ${IMAGE_DIRECTORY}: build it by \`deno task test:image\``, {
      cause,
    });
  }
}

/** All files below a root, the image's unless it is another, that root not among them. */
export function imageFiles(root = ROOTFS, directory = ""): ImageFile[] {
  return [...Deno.readDirSync(`${root}${directory}`)].flatMap(({ name, isDirectory }) => {
    const path = `${directory}/${name}`;
    const file = { path, info: Deno.lstatSync(`${root}${path}`) };
    return isDirectory ? [file, ...imageFiles(root, path)] : [file];
  });
}
