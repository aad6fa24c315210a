/** Names of environment variables, which the runtime does not list to a program that may see only some. */

import { openLibrary } from "./library.ts";
import { cString, GrowingBuffer } from "./memory.ts";

/** The names of all environment variables that begin with `prefix`, in the order of the environment. */
export function environmentNames(prefix: string): string[] {
  const library = openLibrary();
  const name = cString(prefix);
  const bytes = new GrowingBuffer().fill(
    (bytes, capacity) => library.kpod_environment(name, bytes, capacity),
    () => "list the environment",
  );
  return new TextDecoder().decode(bytes).split("\0").filter((variable) => variable !== "");
}
