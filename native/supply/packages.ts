/** The npm packages that the agent is shipped with, by what deno.lock and they themselves say. */
import { keyOf, type LockedPackage, nameOf, shippedOf } from "../image_packages.ts";

export interface ShippedPackage {
  /** As deno.lock calls it: `name@version`, with the peers it was resolved for. */
  readonly key: string;
  readonly name: string;
  readonly version: string;
  /** Of the packed package: a hash's name, `-`, and the hash in base 64. */
  readonly integrity: string;
  /** SPDX expression. */
  readonly license: string;
  /** Whether the agent itself imports it. */
  readonly isDirect: boolean;
  /** Keys of the packages that it needs. */
  readonly dependencies: readonly string[];
  /** The only processors that it is for; absent: all. */
  readonly cpu?: readonly string[];
}

/**
 * What is shipped of the packages of the project in a directory, in the lock's order, for the platform that they are
 * installed for. An error where a package is not installed, or does not state its licence.
 */
export function shippedPackages(project: string): ShippedPackage[] {
  const { lock, settings } = shippedOf(project);
  const direct = Object.keys(settings.imports);
  const installed = Object.entries(lock.npm).flatMap(([key, locked]) => {
    const license = licenseOf(project, key, locked);
    return license === undefined ? [] : [{ key, locked, license }];
  });
  const keys = new Set(installed.map(({ key }) => key));
  return installed.map(({ key, locked, license }) => ({
    key,
    name: nameOf(key),
    version: versionOf(key),
    integrity: locked.integrity,
    license,
    isDirect: direct.includes(nameOf(key)),
    dependencies: [...locked.dependencies ?? [], ...locked.optionalDependencies ?? []]
      .map((wanted) => keyOf(lock, wanted)).filter((each) => keys.has(each)),
    ...(locked.cpu === undefined ? {} : { cpu: locked.cpu }),
  }));
}

/** `1.2.3` of `@scope/name@1.2.3_peer@4.5.6`. */
function versionOf(key: string): string {
  return key.slice(nameOf(key).length + 1).replace(/_.*/, "");
}

/** What a package's own description says; `undefined` for one that is for another platform and so not there. */
function licenseOf(project: string, key: string, { os, cpu }: LockedPackage): string | undefined {
  const [name, version] = [nameOf(key), versionOf(key)];
  const directory = `${project}/node_modules/.deno/${name.replace("/", "+")}@${version}/node_modules/${name}`;
  let license: unknown;
  try {
    license = JSON.parse(Deno.readTextFileSync(`${directory}/package.json`)).license;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    if (os !== undefined || cpu !== undefined) return undefined;
    throw new Error(`Cannot find ${name} ${version} in ${project}/node_modules: run \`deno install\``);
  }
  if (typeof license === "string") return license;
  throw new Error(
    `Cannot tell the licence of ${name} ${version}: its package.json states ${JSON.stringify(license)}`,
  );
}
