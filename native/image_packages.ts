/**
 * What of the npm packages goes into the container image: those that the agent imports, not those of the tests. Run
 * as a program it leaves only these in deno.json and deno.lock of the working directory, and has `node_modules` taken
 * as it is.
 */

/** Of `deno.json` what matters here. */
export interface Settings {
  readonly version: string;
  /** Specifiers (`npm:zod@4.6.7`) by the name that sources import. */
  readonly imports: Readonly<Record<string, string>>;
}

/** Of `deno.lock` what matters here. */
export interface Lock {
  /** Resolved versions by specifier. */
  readonly specifiers: Readonly<Record<string, string>>;
  /** By `name@version`, with what peers it was resolved for after a `_`. */
  readonly npm: Readonly<Record<string, LockedPackage>>;
  readonly workspace: { readonly dependencies: readonly string[] };
}

export interface LockedPackage {
  /** Of the packed package, as a hash's name, `-`, and the hash in base 64. */
  readonly integrity: string;
  /** Names, with the version where the lock has several of them. */
  readonly dependencies?: readonly string[];
  readonly optionalDependencies?: readonly string[];
  /** The platforms that a package is for; absent: for all. */
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
}

/** The settings and the lock of the project in a directory, without the packages that its agent does not import. */
export function shippedOf(project: string): { settings: Settings; lock: Lock } {
  const settings: Settings = JSON.parse(Deno.readTextFileSync(`${project}/deno.json`));
  const lock: Lock = JSON.parse(Deno.readTextFileSync(`${project}/deno.lock`));
  const imported = [`${project}/mod.ts`, ...files(`${project}/src`)].flatMap(importsOf);
  const imports = only(
    settings.imports,
    (name) => imported.some((specifier) => specifier === name || specifier.startsWith(`${name}/`)),
  );
  const shipped = Object.values(imports);
  const needed = reachable(lock, shipped);
  return {
    settings: { ...settings, imports },
    lock: {
      ...lock,
      specifiers: only(lock.specifiers, (specifier) => shipped.includes(specifier)),
      npm: only(lock.npm, (key) => needed.has(key)),
      workspace: {
        ...lock.workspace,
        dependencies: lock.workspace.dependencies.filter((specifier) => shipped.includes(specifier)),
      },
    },
  };
}

/**
 * The lock's key of a package by what another one calls it: its name, or that and the version. An error where the
 * lock has none, or several, of that name.
 */
export function keyOf({ npm }: Lock, wanted: string): string {
  if (wanted in npm) return wanted;
  const [key, another] = Object.keys(npm).filter((each) => nameOf(each) === wanted);
  if (key === undefined || another !== undefined) {
    throw new Error(
      `Cannot tell which package of deno.lock "${wanted}" is: write it anew, as CONTRIBUTING.md says`,
    );
  }
  return key;
}

/** `@scope/name` of `@scope/name@1.2.3_peer@4.5.6`. */
export function nameOf(key: string): string {
  return key.slice(0, key.indexOf("@", 1));
}

/** Keys of all packages that the specifiers lead to, those for other platforms too. */
function reachable(lock: Lock, specifiers: readonly string[]): Set<string> {
  const keys = new Set(specifiers.map((specifier) => {
    const name = nameOf(specifier.slice("npm:".length));
    return keyOf(lock, `${name}@${lock.specifiers[specifier]}`);
  }));
  // A set that grows is gone through to its new end.
  for (const key of keys) {
    const { dependencies = [], optionalDependencies = [] }: Partial<LockedPackage> = lock.npm[key] ?? {};
    for (const wanted of [...dependencies, ...optionalDependencies]) keys.add(keyOf(lock, wanted));
  }
  return keys;
}

function only<Value>(record: Readonly<Record<string, Value>>, isKept: (key: string) => boolean) {
  return Object.fromEntries(Object.entries(record).filter(([key]) => isKept(key)));
}

function files(directory: string): string[] {
  return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) =>
    isDirectory ? files(`${directory}/${name}`) : [`${directory}/${name}`]
  );
}

function importsOf(file: string): string[] {
  const statements = Deno.readTextFileSync(file).matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g);
  return [...statements].map(([, specifier = ""]) => specifier);
}

if (import.meta.main) {
  const { settings, lock } = shippedOf(".");
  // With "auto" each start asks the registry about the packages, and waits for its answer.
  Deno.writeTextFileSync("deno.json", JSON.stringify({ ...settings, nodeModulesDir: "manual" }, null, 2));
  Deno.writeTextFileSync("deno.lock", JSON.stringify(lock, null, 2));
}
