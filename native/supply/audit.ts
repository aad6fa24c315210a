/** Whether vulnerabilities are known in the packages that are shipped. */
import { shippedOf } from "../image_packages.ts";

export interface Audit {
  /** Whether there are any. */
  readonly found: boolean;
  /** What Deno says of them, or why the registry could not be asked. */
  readonly said: string;
}

/**
 * Asks the npm registry about the shipped packages of the project in a directory, with their versions. A registry that
 * cannot be asked has found nothing, and `said` tells that. An error where Deno has no such command.
 */
export async function audit(project: string, env: Readonly<Record<string, string>> = {}): Promise<Audit> {
  const directory = await Deno.makeTempDir({ prefix: "kpod-audit-" });
  try {
    const { settings, lock } = shippedOf(project);
    await Deno.writeTextFile(`${directory}/deno.json`, JSON.stringify(settings));
    await Deno.writeTextFile(`${directory}/deno.lock`, JSON.stringify(lock));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["audit", "--ignore-registry-errors"],
      cwd: directory,
      env,
    }).output();
    const [out = "", errors = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
    if (!success && out === "") throw new Error(`"deno audit" failed: ${errors}`);
    return { found: !success, said: `${out}\n${errors}`.trim() };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
