/** Containers of the image, run by the OCI runtime crun. */
import { findCgroup2Mount } from "../lab/cgroups.ts";
import { run } from "./commands.ts";
import { IMAGE_DIRECTORY, ROOTFS } from "./image.ts";
import type { ContainerSpec } from "./spec.ts";

/**
 * crun wants a host with cgroup v2 alone. So it gets one, in mounts of its own, which end with it; that is the host
 * that the container sees, too. It joins the container's cgroup, which becomes the root of the container's namespace.
 */
const START = `
  mount --bind "$0" /sys/fs/cgroup
  echo $$ > "/sys/fs/cgroup$1/cgroup.procs"
  shift
  exec "$@"`;

export interface Result {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

const PREFIX = "container-";
let containers = 0;

/** A container that was started. It ends with crun. */
export class Container implements AsyncDisposable {
  private constructor(
    /** crun, which hands signals on to the container's process and ends with its exit code. */
    readonly process: Deno.ChildProcess,
    private readonly bundle: string,
    private readonly ended: Promise<void>,
  ) {}

  /** Starts a container from a copy of the image, in a cgroup that exists. */
  static async start(spec: ContainerSpec, cgroup: string): Promise<Container> {
    const bundle = await Deno.makeTempDir({ dir: IMAGE_DIRECTORY, prefix: PREFIX });
    await run("cp", ["--archive", "--reflink=auto", ROOTFS, `${bundle}/rootfs`]);
    await Deno.writeTextFile(`${bundle}/config.json`, JSON.stringify(spec));
    const cgroups = findCgroup2Mount();
    const id = `kpod-image-${Deno.pid}-${containers++}`;
    const process = new Deno.Command("unshare", {
      args: [
        ...["--mount", "--propagation", "private", "sh", "-ec", START, cgroups, cgroup.slice(cgroups.length)],
        ...["crun", `--root=${bundle}/state`, "--cgroup-manager=disabled", "run", `--bundle=${bundle}`, id],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    // A crun that was killed has left the container's process behind; the cgroup may be gone with its pod.
    const ended = process.status.then(() => Deno.writeTextFile(`${cgroup}/cgroup.kill`, "1")).catch(() => {});
    return new Container(process, bundle, ended);
  }

  /** Its root file system, as the machine sees it. */
  get root(): string {
    return `${this.bundle}/rootfs`;
  }

  /** How it ends, and what it writes until then. */
  async result(): Promise<Result> {
    const { code, stdout, stderr } = await this.process.output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, output: text(stdout), errors: text(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ended;
    await Deno.remove(this.bundle, { recursive: true });
  }
}

/** Removes what containers have left whose test was killed. */
export async function removeContainers(): Promise<void> {
  await Deno.mkdir(IMAGE_DIRECTORY, { recursive: true });
  for await (const { name } of Deno.readDir(IMAGE_DIRECTORY)) {
    if (name.startsWith(PREFIX)) await Deno.remove(`${IMAGE_DIRECTORY}/${name}`, { recursive: true });
  }
}
