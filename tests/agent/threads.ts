/** A process's threads, each of which has privileges of its own. */

/** The /proc/PID/task/TID/status of each thread; of those that end meanwhile nothing. */
export function threadsOf(pid: number): string[] {
  return [...Deno.readDirSync(`/proc/${pid}/task`)].flatMap(({ name }) => {
    try {
      return [Deno.readTextFileSync(`/proc/${pid}/task/${name}/status`)];
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || /os error 3\b/.test(String(error))) return [];
      throw error;
    }
  });
}

/** A set of capabilities in such a text, bit n for number n. */
export function setOf(status: string, set: "CapInh" | "CapPrm" | "CapEff" | "CapBnd" | "CapAmb"): bigint {
  const [, bits] = new RegExp(`^${set}:\\s*([0-9a-f]+)$`, "m").exec(status) ?? [];
  if (bits === undefined) throw new Error(`Cannot find ${set} in ${status}`);
  return BigInt(`0x${bits}`);
}
