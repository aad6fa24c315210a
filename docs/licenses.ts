/** The text of docs/licenses.md, from deno.lock, the installed packages and what is known of the libraries. */
import { fileURLToPath } from "node:url";
import { DENO_LICENSE, LIBRARY_LICENSES } from "../native/supply/licenses.ts";
import { type ShippedPackage, shippedPackages } from "../native/supply/packages.ts";
import { pinnedDeno } from "../native/supply/runtime.ts";
import { table, wrapped } from "./markdown.ts";

const PROJECT = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");

export const LICENSES_PAGE = new URL("licenses.md", import.meta.url);

/** The text of the page, the same on every architecture. */
export function licensesPage(): string {
  const packages = shippedPackages(PROJECT).map((each) => [nameOnAll(each), each.version, each.license]);
  const libraries = Object.entries(LIBRARY_LICENSES).map(([name, license]) => [name, "Debian", license]);
  return [
    HEAD,
    "## npm packages",
    table(["package", "version", "licence"], packages),
    wrapped(
      "`*` stands for the processor, as there is one such package for each. The texts are in the image, in the " +
        "packages' directories below `/app/node_modules`.",
    ),
    "## Runtime and libraries",
    table(["component", "from", "licence"], [
      ["Deno", `npm, ${pinnedDeno(PROJECT)}`, DENO_LICENSE],
      ...libraries,
    ]),
    wrapped(
      "Deno contains V8 and other parts under licences of their own. The libraries are Debian's, unchanged and linked " +
        "dynamically; their versions are in the image's `/var/lib/dpkg/status.d`, the texts in `/usr/share/doc`, and " +
        "the sources come from Debian by these versions.",
    ),
  ].join("\n\n") + "\n";
}

const HEAD = `# Licences

<!-- Written by \`deno task docs\`: change deno.json or native/supply/licenses.ts, and run that. -->

${
  wrapped(
    "The agent is under Apache-2.0, its eBPF programs in `bpf/` under GPL-2.0-only or BSD-2-Clause, as you choose. " +
      "This page lists what the container image has besides. Packages that only the tests need are not in it, nor here.",
  )
}`;

function nameOnAll({ name, cpu = [] }: ShippedPackage): string {
  return cpu.reduce((each, processor) => each.replace(new RegExp(`${processor}$`), "*"), name);
}
