/** Which version of Deno is shipped. */

/** The one that the Dockerfile of the project in a directory asks for. */
export function pinnedDeno(project: string): string {
  const path = `${project}/Dockerfile`;
  const [, version] = /^ARG DENO_VERSION=(\S+)$/m.exec(Deno.readTextFileSync(path)) ?? [];
  if (version === undefined) throw new Error(`Cannot find the line "ARG DENO_VERSION=…" in ${path}`);
  return version;
}

/** The one in the image that is unpacked at `root`, by the package that it came in. */
export function imageDeno(root: string): string {
  return JSON.parse(Deno.readTextFileSync(`${root}/usr/share/doc/deno/package.json`)).version;
}
