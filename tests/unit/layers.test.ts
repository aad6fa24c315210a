/** The shape of the source: what may import what, that importing does nothing, and what no file may hold. */
import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Each layer's files, what they may import of this project, and of what beside that only the types. Runtime modules
 * (`node:`) are free to all; a layer's own files always are.
 */
const LAYERS: readonly {
  readonly layer: string;
  readonly files: RegExp;
  readonly imports?: readonly RegExp[];
  readonly types?: readonly RegExp[];
}[] = [
  { layer: "log", files: /^src\/log\.ts$/ },
  { layer: "trouble", files: /^src\/trouble\.ts$/, types: [/^src\/log\.ts$/] },
  { layer: "nearest", files: /^src\/nearest\.ts$/ },
  { layer: "version", files: /^src\/version\.ts$/, imports: [/^deno\.json$/] },
  { layer: "tables", files: /^src\/(?:profiles|syscalls|syscall_numbers)\.ts$/ },
  { layer: "parse", files: /^src\/parse\// },
  { layer: "metrics", files: /^src\/metrics\// },
  { layer: "native", files: /^src\/native\// },
  { layer: "discovery", files: /^src\/discovery\//, imports: [/^src\/(?:log|trouble)\.ts$/] },
  {
    layer: "config",
    files: /^src\/config\w*\.ts$/,
    imports: [/^src\/(?:log|nearest|profiles|syscalls)\.ts$/, /^src\/discovery\/label_selector\.ts$/],
    types: [/^src\/metrics\/histogram\.ts$/, /^src\/discovery\/filter\.ts$/],
  },
  {
    layer: "cgroup",
    files: /^src\/cgroup\//,
    imports: [/^src\/native\//],
    types: [/^src\/discovery\/pod\.ts$/, /^src\/metrics\/family\.ts$/],
  },
  {
    layer: "collectors",
    files: /^src\/collectors\//,
    imports: [/^src\/native\//, /^src\/metrics\//, /^src\/parse\//],
    types: [/^src\/cgroup\//, /^src\/discovery\/pod\.ts$/, /^src\/log\.ts$/],
  },
  {
    layer: "doctor",
    files: /^src\/doctor\//,
    imports: [/^src\/(?:cgroup|discovery|native|parse|web)\//, /^src\/(?:config|profiles)\.ts$/],
    types: [/^src\/collectors\//, /^src\/log\.ts$/],
  },
  {
    layer: "server",
    files: /^src\/(?:server|body|negotiation|status_page)\.ts$/,
    imports: [/^src\/metrics\/registry\.ts$/, /^src\/web\//],
    types: [/^src\/log\.ts$/],
  },
  {
    layer: "web",
    files: /^src\/web\//,
    imports: [/^src\/nearest\.ts$/, /^src\/metrics\/self\.ts$/],
    types: [/^src\/log\.ts$/, /^src\/metrics\/family\.ts$/],
  },
  {
    layer: "agent",
    files: /^src\/agent\.ts$/,
    imports: [/^src\/(?:cgroup|metrics)\//, /^src\/trouble\.ts$/],
    types: [/^src\/(?:collectors|discovery|native)\//, /^src\/log\.ts$/],
  },
  {
    layer: "confinement",
    files: /^src\/confinement\.ts$/,
    imports: [/^src\/native\//],
    types: [/^src\/log\.ts$/],
  },
  { layer: "entry", files: /^mod\.ts$/, imports: [/^src\//] },
];

/** Where each package may be imported. */
const PACKAGES: Readonly<Record<string, RegExp>> = {
  "prom-client": /^src\/metrics\/registry\.ts$/,
  "prom-client/lib/registry.js": /^src\/metrics\/registry\.ts$/,
  koffi: /^src\/native\/records\.ts$/,
  "js-yaml": /^src\/web\/web_config\.ts$/,
  zod: /^src\/(?:config\w*|discovery\/pod)\.ts$/,
};

/** Data. */
const MAY_BE_LONG = [/\.gen\.ts$/, /^src\/syscall_numbers\.ts$/];
const MOST_LINES = 400;

/** What a checkout holds, whatever else lies beside it on somebody's disk. */
const TOP = [
  ".ci",
  ".dockerignore",
  ".github",
  "CONTRIBUTING.md",
  "Dockerfile",
  "README.md",
  "bpf",
  "deno.json",
  "deno.lock",
  "docs",
  "manifests",
  "mod.ts",
  "native",
  "src",
  "tests",
];

const FILES = TOP.flatMap(filesOf);
const SOURCES = FILES.filter((path) => /^(?:src\/.*|mod)\.ts$/.test(path));

function filesOf(path: string): string[] {
  const info = lstat(path);
  if (info?.isDirectory) {
    return [...Deno.readDirSync(join(ROOT, path))]
      .filter(({ name }) => name !== "build")
      .flatMap(({ name }) => filesOf(`${path}/${name}`));
  }
  return info?.isFile && !path.endsWith(".o") ? [path] : [];
}

function lstat(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(join(ROOT, path));
  } catch {
    return undefined;
  }
}

/** What is loaded with a module whatever happens: files and packages. */
function loadedWith(file: string, loaded = new Set<string>()): Set<string> {
  if (loaded.has(file)) return loaded;
  loaded.add(file);
  if (!file.endsWith(".ts")) return loaded;
  for (const { to, isType, isDynamic } of importsOf(file)) if (!isType && !isDynamic) loadedWith(to, loaded);
  return loaded;
}

function textOf(path: string): string {
  return Deno.readTextFileSync(join(ROOT, path));
}

/** Everything a file imports: a path from the root of the project, or a bare specifier. */
function importsOf(file: string): { to: string; isType: boolean; isDynamic: boolean }[] {
  const statements = textOf(file).matchAll(
    /^(import|export)\s(type\s)?(?:[^"';]*?\sfrom\s)?"([^"]+)"|\bimport\("([^"]+)"\)/gm,
  );
  return [...statements].map(([, , type, from, dynamic]) => {
    const to = from ?? dynamic ?? "";
    const isType = type !== undefined;
    return {
      to: to.startsWith(".") ? join(dirname(file), to) : to,
      isType,
      isDynamic: dynamic !== undefined,
    };
  });
}

Deno.test("the files of this project are found, and their imports", () => {
  assert.ok(SOURCES.includes("mod.ts") && SOURCES.includes("src/agent.ts"), SOURCES.join());
  const imports = importsOf("src/agent.ts");
  assert.ok(imports.some(({ to, isType }) => to === "src/cgroup/targets.ts" && !isType));
  assert.ok(imports.some(({ to, isType }) => to === "src/native/programs.ts" && isType));
  assert.ok(importsOf("src/metrics/registry.ts").some(({ to }) => to === "prom-client"));
});

Deno.test("every source file is in one layer", () => {
  for (const file of SOURCES) {
    const layers = LAYERS.filter(({ files }) => files.test(file)).map(({ layer }) => layer);
    assert.equal(layers.length, 1, `${file} is in the layers [${layers}]: name it in the table`);
  }
});

for (const { layer, files, imports = [], types = [] } of LAYERS) {
  Deno.test(`layer ${layer} imports only what it may know`, () => {
    for (const file of SOURCES.filter((source) => files.test(source))) {
      for (const { to, isType } of importsOf(file)) {
        if (to.startsWith("node:")) continue;
        const allowed = to in PACKAGES
          ? PACKAGES[to]?.test(file)
          : [files, ...imports, ...isType ? types : []].some((pattern) => pattern.test(to));
        assert.ok(allowed, `${file} imports ${isType ? "types of " : ""}${to}`);
      }
    }
  });
}

Deno.test("what only a web configuration file needs is loaded with that alone", () => {
  const always = loadedWith("mod.ts");
  assert.ok(always.has("src/web/plain_listener.ts") && always.has("zod"), [...always].join());
  const guarded = loadedWith("src/web/guarded_web.ts");
  for (
    const path of ["js-yaml", "src/web/tls_listener.ts", "src/web/web_gate.ts", "src/web/guarded_web.ts"]
  ) {
    assert.ok(guarded.has(path), path);
    assert.ok(!always.has(path), path);
  }
});

Deno.test("only the entry knows both the agent and the server", () => {
  const knowing = SOURCES.filter((file) => {
    const all = importsOf(file).map(({ to }) => to);
    return all.includes("src/agent.ts") || all.includes("src/server.ts");
  });
  assert.deepEqual(knowing, ["mod.ts"]);
});

Deno.test("importing needs no permission, says nothing, and leaves nothing running", async () => {
  const modules = SOURCES.filter((file) => file !== "mod.ts");
  const child = new Deno.Command(Deno.execPath(), {
    // What koffi needs to load its addon, and nothing of ours.
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--no-check",
      "--allow-read=node_modules",
      "--allow-ffi=node_modules",
      "-",
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(modules.map((file) => `import "./${file}";\n`).join("")));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.deepEqual([said, code], ["", 0]);
});

Deno.test("no module has statements of its own beside declarations", () => {
  const acting =
    /^(?:await|if|for|while|do|try|switch|throw|new|void|delete)\b|^[\w$.]+\(|^(?:export )?(?:const|let) .*= await\b/;
  for (const file of SOURCES.filter((source) => source !== "mod.ts")) {
    for (const line of textOf(file).split("\n")) assert.doesNotMatch(line, acting, file);
  }
});

Deno.test("no source file is long", () => {
  for (const file of FILES.filter((path) => /\.(?:ts|c|h)$/.test(path))) {
    if (MAY_BE_LONG.some((pattern) => pattern.test(file))) continue;
    const lines = textOf(file).split("\n").length - 1;
    assert.ok(lines <= MOST_LINES, `${file} has ${lines} lines, more than ${MOST_LINES}: split it`);
  }
});

Deno.test("no file names a machine that this was built on, or a package registry", () => {
  // Put together here, so that this file does not hold them itself.
  const places = [["", "work", ""].join("/"), ["registry", "npmjs"].join(".")];
  for (const file of FILES) {
    const text = textOf(file);
    for (const place of places) assert.ok(!text.includes(place), `${file} names ${place}`);
  }
  assert.doesNotMatch(textOf("deno.lock"), /https?:/, "deno.lock names a host");
  const home = relative("/", ROOT).replace(/\/$/, "");
  // A checkout at the root of a disk, or in a directory with a common name, proves nothing.
  if (home.split("/").length < 2) return;
  for (const file of FILES) assert.ok(!textOf(file).includes(`/${home}`), `${file} names this checkout`);
});
