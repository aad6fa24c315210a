/** A stand-in for this project, or for an image of it, with packages of the test's own. */

export interface FakePackage {
  /** In its `package.json`; without it the package is not installed. */
  readonly license?: unknown;
  readonly dependencies?: readonly string[];
  readonly optionalDependencies?: readonly string[];
  readonly cpu?: readonly string[];
}

export interface FakeProject extends Disposable {
  readonly directory: string;
}

/**
 * Writes a project whose agent imports `near`. `imports` are specifiers by name, `packages` by the lock file's key;
 * `at` is where in the directory it is to be.
 */
export function project(
  { imports, packages, at = "" }: {
    readonly imports: Readonly<Record<string, string>>;
    readonly packages: Readonly<Record<string, FakePackage>>;
    readonly at?: string;
  },
): FakeProject {
  const directory = Deno.makeTempDirSync({ prefix: "kpod-shipped-" });
  const write = (path: string, text: string) => {
    const file = `${directory}${at}/${path}`;
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(file, text);
  };
  const specifiers = Object.values(imports);
  write("mod.ts", 'import "./src/agent.ts";\n');
  write("src/agent.ts", 'import { near } from "near";\n');
  write("deno.json", JSON.stringify({ version: "1.2.3", imports }));
  write(
    "deno.lock",
    JSON.stringify({
      version: "5",
      specifiers: Object.fromEntries(specifiers.map((each) => [each, each.slice(each.lastIndexOf("@") + 1)])),
      npm: Object.fromEntries(
        Object.entries(packages).map((
          [key, { license: _, ...locked }],
        ) => [key, { ...locked, integrity: HASH }]),
      ),
      workspace: { dependencies: specifiers },
    }),
  );
  for (const [key, { license }] of Object.entries(packages)) {
    if (license === undefined) continue;
    const [, name = "", version = ""] = /^(.[^@]*)@([^_]+)/.exec(key) ?? [];
    const stored = `node_modules/.deno/${name.replace("/", "+")}@${version}`;
    write(`${stored}/node_modules/${name}/package.json`, JSON.stringify({ name, version, license }));
  }
  return { directory, [Symbol.dispose]: () => Deno.removeSync(directory, { recursive: true }) };
}

const HASH = `sha512-${new Uint8Array(64).fill(0xab).toBase64()}`;
