/** Host files for the preflight's checks: a temporary directory, read as a host is. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { Finding, Status } from "../../src/doctor/finding.ts";
import { HostRoot } from "../../src/native/host_files.ts";

/** A directory with these files, by relative path; it is removed when it goes out of scope. */
export function hostFiles(files: Readonly<Record<string, string>>): { root: HostRoot } & Disposable {
  const directory = Deno.makeTempDirSync({ prefix: "kpod-test-host-" });
  for (const [path, text] of Object.entries(files)) {
    Deno.mkdirSync(`${directory}/${dirname(path)}`, { recursive: true });
    Deno.writeTextFileSync(`${directory}/${path}`, text);
  }
  const root = HostRoot.open(directory);
  return {
    root,
    [Symbol.dispose]() {
      root.close();
      Deno.removeSync(directory, { recursive: true });
    },
  };
}

/** What a finding is to be; there is advice just where something is to be done. */
export type Expected = readonly [status: Status, found: RegExp, advice?: RegExp];

export function assertFinding(finding: Finding | undefined, [status, found, advice]: Expected): void {
  assert.ok(finding);
  assert.equal(finding.status, status, finding.found);
  assert.match(finding.found, found);
  if (advice === undefined) assert.equal(finding.advice, "");
  else assert.match(finding.advice, advice);
  assert.equal(finding.advice === "", status === "ok", "advice for what is not ok, and for nothing else");
}
