/**
 * `deno task sbom`: writes a bill of materials of what is shipped (CycloneDX 1.6, JSON). Exit code 1 for flags or files
 * that cannot be used.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { shippedOf } from "../image_packages.ts";
import { type Bom, bomOf } from "./bom.ts";
import { debianPackages } from "./debian.ts";
import { shippedPackages } from "./packages.ts";
import { imageDeno, pinnedDeno } from "./runtime.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

const USAGE = `Usage: deno task sbom [--root DIRECTORY] [FILE]

Writes a bill of materials (CycloneDX 1.6, JSON) to FILE or standard output: of this checkout, which has no libraries
of the system yet, or of the image that is unpacked in DIRECTORY.`;

/** Of a checkout: npm packages as installed, and the runtime that the image would get. */
export function checkoutBom(project = PROJECT): Bom {
  return bomOf({ ...agentOf(project), deno: pinnedDeno(project), libraries: [] });
}

/** Of the image that is unpacked at `root`. */
export function imageBom(root: string): Bom {
  try {
    return bomOf({ ...agentOf(`${root}/app`), deno: imageDeno(root), libraries: debianPackages(root) });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      `Cannot read the image in ${root}: ${error.message}; unpack an image of this version there`,
    );
  }
}

function agentOf(project: string) {
  return { version: shippedOf(project).settings.version, packages: shippedPackages(project) };
}

function main(args: readonly string[]): void {
  const { values: { root, help }, positionals: [file, ...others] } = parseArgs({
    args: [...args],
    options: { root: { type: "string" }, help: { type: "boolean", short: "h" } },
    allowPositionals: true,
  });
  if (help) return console.log(USAGE);
  if (others.length > 0) throw new Error(`Unexpected argument "${others[0]}": one FILE at most`);
  const text = JSON.stringify(root === undefined ? checkoutBom() : imageBom(root), null, 2);
  if (file === undefined) console.log(text);
  else Deno.writeTextFileSync(file, `${text}\n`);
}

if (import.meta.main) {
  try {
    main(Deno.args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
