/** Debian's packages in an unpacked image, by the records that the image keeps of them. */
import { LIBRARY_LICENSES } from "./licenses.ts";

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Of the distribution, as `debian-12`. */
  readonly release: string;
  /** The source package that it is built from, by whose name Debian reports vulnerabilities. */
  readonly source: string;
  /** SPDX expression. */
  readonly license: string;
}

/** The packages of the image that is unpacked at `root`. An error where it keeps none, or has one unknown here. */
export function debianPackages(root: string): DebianPackage[] {
  const about = `${root}/etc/os-release`;
  const release = `debian-${match(/^VERSION_ID="(.+)"$/m, Deno.readTextFileSync(about), about)}`;
  const records = `${root}/var/lib/dpkg/status.d`;
  return [...Deno.readDirSync(records)].map(({ name }) => name).toSorted()
    .map((name) => debianPackage(`${records}/${name}`, release));
}

function debianPackage(path: string, release: string): DebianPackage {
  const record = Deno.readTextFileSync(path);
  const field = (name: string) => match(new RegExp(`^${name}: (\\S+)`, "m"), record, path);
  const name = field("Package");
  const license = LIBRARY_LICENSES[name];
  if (license === undefined) {
    throw new Error(`Cannot tell the licence of ${name} in ${path}: add it to LIBRARY_LICENSES`);
  }
  return {
    name,
    version: field("Version"),
    architecture: field("Architecture"),
    release,
    source: /^Source: (\S+)/m.exec(record)?.[1] ?? name,
    license,
  };
}

function match(pattern: RegExp, text: string, path: string): string {
  const value = pattern.exec(text)?.[1];
  if (value === undefined) throw new Error(`Cannot read ${path}: it has no line like ${pattern}`);
  return value;
}
