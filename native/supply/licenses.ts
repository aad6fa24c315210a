/** Licences, as SPDX expressions, of what is shipped: known beforehand, so that another one is noticed. */
import type { ShippedPackage } from "./packages.ts";

/** The agent's own, and that of its eBPF programs. */
export const OWN_LICENSE = "Apache-2.0 AND (GPL-2.0-only OR BSD-2-Clause)";

export const DENO_LICENSE = "MIT";

/** What packages may be under without further thought: nothing to do but to hand on the text. */
export const EXPECTED_LICENSES: readonly string[] = [
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "ISC",
  "MIT",
  "PSF-2.0",
];

/** Debian's packages of the libraries in the image: the licence of the library, of all that their sources hold. */
export const LIBRARY_LICENSES: Readonly<Record<string, string>> = {
  libbpf1: "LGPL-2.1-only OR BSD-2-Clause",
  libc6: "LGPL-2.1-or-later",
  libcrypt1: "LGPL-2.1-or-later",
  libelf1: "LGPL-3.0-or-later OR GPL-2.0-or-later",
  "libgcc-s1": "GPL-3.0-or-later WITH GCC-exception-3.1",
  "libstdc++6": "GPL-3.0-or-later WITH GCC-exception-3.1",
  zlib1g: "Zlib",
};

/** One line for each package under a licence that nobody has thought about. */
export function unexpectedLicenses(
  packages: readonly Pick<ShippedPackage, "name" | "version" | "license">[],
): string[] {
  return packages.filter(({ license }) => !EXPECTED_LICENSES.includes(license)).map((
    { name, version, license },
  ) => `${name} ${version} is under ${license}: do without it, or add that to EXPECTED_LICENSES`);
}
