/** The one error of everything that goes through the native library. */

/**
 * What the kernel's error numbers are called and mean, as asm-generic/errno{-base,}.h of Linux has them: the same
 * on x86_64 and arm64. 524 is ENOTSUPP, which eBPF answers and user space has no name for.
 */
const ERRORS: Readonly<Record<number, readonly [code: string, text: string]>> = {
  1: ["EPERM", "operation not permitted"],
  2: ["ENOENT", "no such file or directory"],
  3: ["ESRCH", "no such process"],
  4: ["EINTR", "interrupted system call"],
  5: ["EIO", "input/output error"],
  6: ["ENXIO", "no such device or address"],
  7: ["E2BIG", "argument list too long"],
  9: ["EBADF", "bad file descriptor"],
  11: ["EAGAIN", "resource temporarily unavailable"],
  12: ["ENOMEM", "cannot allocate memory"],
  13: ["EACCES", "permission denied"],
  14: ["EFAULT", "bad address"],
  16: ["EBUSY", "device or resource busy"],
  17: ["EEXIST", "file exists"],
  18: ["EXDEV", "the path or a symbolic link leads out of the directory or filesystem"],
  19: ["ENODEV", "no such device"],
  20: ["ENOTDIR", "not a directory"],
  21: ["EISDIR", "is a directory"],
  22: ["EINVAL", "invalid argument"],
  23: ["ENFILE", "too many open files in the system"],
  24: [
    "EMFILE",
    "too many open files: raise this process's limit, LimitNOFILE= of the container runtime's unit",
  ],
  27: ["EFBIG", "file too large"],
  28: ["ENOSPC", "no space left"],
  29: ["ESPIPE", "illegal seek, as in a pipe"],
  34: ["ERANGE", "result too large"],
  36: ["ENAMETOOLONG", "file name too long"],
  38: ["ENOSYS", "the kernel does not have this call"],
  40: ["ELOOP", "too many levels of symbolic links, or a link that must not be followed"],
  61: ["ENODATA", "no data available"],
  71: ["EPROTO", "protocol error"],
  75: ["EOVERFLOW", "value too large"],
  90: ["EMSGSIZE", "message too long"],
  95: ["ENOTSUP", "operation not supported"],
  107: ["ENOTCONN", "not connected"],
  110: ["ETIMEDOUT", "timed out"],
  116: ["ESTALE", "stale file handle"],
  524: ["ENOTSUPP", "operation not supported by this kernel"],
};

/** A call into the native library that failed. */
export class NativeError extends Error {
  override readonly name = "NativeError";
  /** The kernel's or library's error number, positive. */
  readonly errno: number;
  /** Its name, as `"ENOENT"`; `"E<number>"` for one without. */
  readonly code: string;

  /** `action` completes "Cannot …"; the sign of `errno` does not matter; `detail` is what a library said of it. */
  constructor(action: string, errno: number, detail?: string) {
    const number = Math.abs(errno);
    const [code, text] = ERRORS[number] ?? [`E${number}`, `error ${number}`];
    super(`Cannot ${action}: ${code} (${text})${detail === undefined ? "" : `\n${detail}`}`);
    this.errno = number;
    this.code = code;
  }
}

/**
 * Returns what a native function answered if it is not negative.
 *
 * @throws {NativeError} with the text of `action`, which completes "Cannot …".
 */
export function checked(result: number | bigint, action: () => string): number {
  if (result < 0) throw new NativeError(action(), Number(result));
  return Number(result);
}

/** The path of what lies beneath a root, for messages. */
export function pathBeneath(root: { readonly path: string }, relative: string): string {
  return `${root.path}/${relative}`.replaceAll(/\/+/g, "/");
}
