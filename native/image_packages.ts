/**
 * For the container image: leaves in deno.json and deno.lock of the working directory only the packages that the agent
 * imports, not those of the tests, and has `node_modules` taken as it is.
 */

interface Settings {
  imports: Record<string, string>;
  nodeModulesDir: string;
}

interface Lock {
  specifiers: Record<string, string>;
  workspace: { dependencies: string[] };
}

const settings: Settings = JSON.parse(Deno.readTextFileSync("deno.json"));
const lock: Lock = JSON.parse(Deno.readTextFileSync("deno.lock"));
const imported = ["mod.ts", ...files("src")].flatMap(importsOf);

settings.imports = only(
  settings.imports,
  (name) => imported.some((specifier) => specifier === name || specifier.startsWith(`${name}/`)),
);
// With "auto" each start asks the registry about the packages, and waits for its answer.
settings.nodeModulesDir = "manual";
const packages = Object.values(settings.imports);
lock.specifiers = only(lock.specifiers, (specifier) => packages.includes(specifier));
lock.workspace.dependencies = lock.workspace.dependencies.filter((specifier) => packages.includes(specifier));

Deno.writeTextFileSync("deno.json", JSON.stringify(settings, null, 2));
Deno.writeTextFileSync("deno.lock", JSON.stringify(lock, null, 2));

function only(record: Record<string, string>, isKept: (key: string) => boolean): Record<string, string> {
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
