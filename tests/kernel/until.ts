/** Waiting for what another process does. */

const LIMIT_MS = 10_000;

/** Looks again and again until the condition holds; throws after ten seconds. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Cannot wait any longer until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
