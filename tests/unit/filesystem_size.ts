/** One filesystem's size, as the native library tells it. */
import { NativeError } from "../../src/native/error.ts";
import type { HostRoot } from "../../src/native/host_files.ts";
import { type FilesystemSize, filesystemSizes } from "../../src/native/statfs.ts";

/** Asks about a path beneath a root, by default in its own name; rejects with a `NativeError` if there is no size. */
export async function filesystemSize(
  root: HostRoot,
  path: string,
  timeoutMs = 5000,
  key = `${root.path}/${path}`,
): Promise<FilesystemSize> {
  const [size] = await filesystemSizes(root, [{ directory: ".", path, key }], timeoutMs);
  if (size === undefined || size instanceof NativeError) throw size;
  return size;
}
