/** Sizes of filesystems, any of which may never answer. */
import { checked, NativeError, pathBeneath } from "./error.ts";
import type { HostRoot } from "./host_files.ts";
import { openLibrary } from "./library.ts";
import { cStrings, keptFor } from "./memory.ts";

/** A path whose filesystem's size is asked for. */
export interface SizeQuestion {
  /** What the path is beneath, as seen from a root: it may be a magic link such as `PID/root`. */
  readonly directory: string;
  readonly path: string;
  /** Any text that stands for the filesystem. */
  readonly key: string;
}

/** A filesystem's size, as `df` counts it. */
export interface FilesystemSize {
  readonly capacityBytes: number;
  readonly freeBytes: number;
  /** Free to an unprivileged user. */
  readonly availableBytes: number;
  /** Whether the path that was asked about is a directory. */
  readonly isDirectory: boolean;
  /** The mount it led to, as in `/proc/PID/mountinfo`; `undefined` before Linux 5.8. */
  readonly mountId: number | undefined;
}

/** The directory that a path is beneath could not be opened. */
export class DirectoryError extends NativeError {}

/** Members of `struct kpod_statfs` of `native/kpod_files.h`, all of them doubles. */
const MEMBERS = 7;

/**
 * The sizes of the filesystems that paths lie on, in order, asked one after the other in a thread of their own.
 *
 * @param root What their directories are seen from; it may be closed meanwhile.
 * @param timeoutMs How long a filesystem may take; all of them together ten times that.
 * @returns For each its size, or why there is none: `ETIMEDOUT` for one that takes too long; from then on `EBUSY` for
 * those of the same key, until it lets go; `EAGAIN` if too many hang, or all together take too long.
 */
export async function filesystemSizes(
  root: Pick<HostRoot, "path" | "hold">,
  questions: readonly SizeQuestion[],
  timeoutMs: number,
): Promise<(FilesystemSize | NativeError)[]> {
  const parts: string[] = [];
  for (const { directory, path, key } of questions) parts.push(directory, path, key);
  const texts = cStrings(parts);
  const sizes = new Float64Array(MEMBERS * questions.length);
  using open = root.hold();
  const { kpod_statfs } = openLibrary();
  const size = BigInt(texts.length);
  const result = await keptFor(
    [texts, sizes],
    kpod_statfs(open.handle, texts, size, questions.length, timeoutMs, sizes),
  );
  checked(result, () => `ask for the sizes of ${questions.length} filesystems`);
  const found: (FilesystemSize | NativeError)[] = [];
  for (const question of questions) found.push(sizeOf(sizes, MEMBERS * found.length, root, question));
  return found;
}

function sizeOf(
  members: Float64Array,
  first: number,
  root: { readonly path: string },
  { directory, path }: SizeQuestion,
): FilesystemSize | NativeError {
  const error = members[first] ?? 0;
  if (error !== 0) {
    return members[first + 1] !== 0
      ? new DirectoryError(`open ${pathBeneath(root, directory)}`, error)
      : new NativeError(`statfs ${pathBeneath(root, `${directory}/${path}`)}`, error);
  }
  return {
    capacityBytes: members[first + 2] ?? 0,
    freeBytes: members[first + 3] ?? 0,
    availableBytes: members[first + 4] ?? 0,
    isDirectory: members[first + 5] !== 0,
    mountId: members[first + 6] || undefined,
  };
}
