/** A bill of materials as CycloneDX 1.6 has it. */
import type { DebianPackage } from "./debian.ts";
import { DENO_LICENSE, OWN_LICENSE } from "./licenses.ts";
import type { ShippedPackage } from "./packages.ts";

/** What goes into one. */
export interface Materials {
  /** The agent's version. */
  readonly version: string;
  readonly packages: readonly ShippedPackage[];
  /** The runtime's version. */
  readonly deno: string;
  readonly libraries: readonly DebianPackage[];
}

export interface Component {
  readonly type: "application" | "library" | "platform";
  readonly "bom-ref": string;
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses: readonly unknown[];
  readonly cpe?: string;
  readonly purl: string;
}

export interface Bom {
  readonly $schema: string;
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.6";
  readonly serialNumber: string;
  readonly version: number;
  readonly metadata: { readonly timestamp: string; readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** The bill of materials of what is given, as of now, with a serial number of its own. */
export function bomOf({ version, packages, deno, libraries }: Materials): Bom {
  const agent = component("application", `pkg:generic/kpod-metrics@${version}`, OWN_LICENSE, {
    name: "kpod-metrics",
    version,
  });
  const runtime = component("platform", `pkg:npm/deno@${deno}`, DENO_LICENSE, {
    name: "deno",
    version: deno,
    cpe: `cpe:2.3:a:deno:deno:${deno}:*:*:*:*:*:*:*`,
  });
  const system = libraries.map(debianComponent);
  const direct = [
    ...packages.filter(({ isDirect }) => isDirect).map(purlOf),
    ...[runtime, ...system].map(refOf),
  ];
  const purls = new Map(packages.map((each) => [each.key, purlOf(each)]));
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${crypto.randomUUID()}`,
    version: 1,
    metadata: { timestamp: new Date().toISOString(), component: agent },
    components: [...packages.map(npmComponent), runtime, ...system],
    dependencies: [
      { ref: refOf(agent), dependsOn: direct },
      ...packages.map((each) => ({
        ref: purlOf(each),
        dependsOn: each.dependencies.flatMap((key) => purls.get(key) ?? []),
      })),
    ],
  };
}

type Rest = Omit<Component, "type" | "bom-ref" | "licenses" | "purl">;

function component(type: Component["type"], purl: string, license: string, rest: Rest): Component {
  // The schema knows the identifiers of single licences; anything else is an expression.
  const licenses = [license.includes(" ") ? { expression: license } : { license: { id: license } }];
  return { type, "bom-ref": purl, ...rest, licenses, purl };
}

function npmComponent(each: ShippedPackage): Component {
  const [, group, name = each.name] = /^(@.+)\/(.+)$/.exec(each.name) ?? [];
  const [hash = "", content = ""] = each.integrity.split("-");
  return component("library", purlOf(each), each.license, {
    ...(group === undefined ? {} : { group }),
    name,
    version: each.version,
    hashes: [{ alg: hash.replace("sha", "SHA-"), content: Uint8Array.fromBase64(content).toHex() }],
  });
}

function debianComponent(
  { name, version, architecture, release, source, license }: DebianPackage,
): Component {
  const qualifiers = `arch=${architecture}&distro=${release}&upstream=${encoded(source)}`;
  return component("library", `pkg:deb/debian/${encoded(name)}@${encoded(version)}?${qualifiers}`, license, {
    name,
    version,
  });
}

/** Package URL. */
function purlOf({ name, version }: ShippedPackage): string {
  return `pkg:npm/${name.split("/").map(encoded).join("/")}@${encoded(version)}`;
}

/** Colons stay, says the specification of package URLs. */
function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll("%3A", ":");
}

function refOf(each: Component): string {
  return each["bom-ref"];
}
