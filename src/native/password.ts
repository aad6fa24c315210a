/** Passwords and their hashes, by the system's libcrypt. */

import { NativeError } from "./error.ts";
import { openLibrary } from "./library.ts";
import { cString, keptFor } from "./memory.ts";

/**
 * Whether a password is the one that a bcrypt hash (`$2b$10$…`) was made of. It is compared on another thread, and takes
 * as long as the hash asks for.
 *
 * @throws {NativeError} `ENOSYS` where there is no libcrypt, `EINVAL` if it cannot use the hash.
 */
export async function passwordFits(hash: string, password: Uint8Array): Promise<boolean> {
  const texts = [cString(hash), Uint8Array.of(...password, 0)] as const;
  const result = await keptFor(texts, openLibrary().kpod_password_fits(...texts));
  if (result < 0) throw new NativeError("compare a password with its hash by libcrypt.so.1", result);
  // In C a NUL ends a text; what is behind it would be compared with nothing.
  return result === 1 && !password.includes(0);
}
