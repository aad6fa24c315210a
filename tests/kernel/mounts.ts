/** A process in a container's cgroup with mounts of its own, which nobody else sees and which go with it. */
import assert from "node:assert/strict";
import type { LabContainer } from "../lab/pods.ts";

/** Joins the cgroup, then leaves the machine's mounts behind; one process throughout. */
const START = `
  echo $$ > "$0/cgroup.procs"
  exec nsenter --target "$3" --mount -- unshare --mount --propagation private sh -ec "$1" "$2"`;

export class MountedProcess implements AsyncDisposable {
  private constructor(
    private readonly child: Deno.ChildProcess,
    /** A new directory for mount points. */
    readonly directory: string,
  ) {}

  /** Runs the commands, which may make mounts in the new directory, and stays. It sees the mounts of `from` as well. */
  static async start(
    container: Pick<LabContainer, "cgroup">,
    commands: string,
    from: { readonly pid: number } = Deno,
  ): Promise<MountedProcess> {
    assert.ok(container.cgroup);
    const directory = await Deno.makeTempDir({ prefix: "kpod-mounts-" });
    const script = `cd "$0"\n${commands}\necho ready\nexec cat`;
    const child = new Deno.Command("sh", {
      args: ["-ec", START, container.cgroup, script, directory, String(from.pid)],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const { value } = await child.stdout.getReader().read();
    const process = new MountedProcess(child, directory);
    if (new TextDecoder().decode(value) === "ready\n") return process;
    await process[Symbol.asyncDispose]();
    throw new Error(`Cannot make the mounts: see the message of ${commands}`);
  }

  get pid(): number {
    return this.child.pid;
  }

  /** What a command prints in the process's mount namespace. */
  async inside(...command: string[]): Promise<string> {
    const args = ["--target", String(this.pid), "--mount", "--", ...command];
    const { stdout } = await new Deno.Command("nsenter", { args, stderr: "null" }).output();
    return new TextDecoder().decode(stdout);
  }

  /** Kills it. */
  async end(): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.child.stdin.close().catch(() => {});
    await this.child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    // Empty directories and files: what was mounted there went with the namespace.
    await Deno.remove(this.directory, { recursive: true });
  }
}
