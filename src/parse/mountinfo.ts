/**
 * `/proc/PID/mountinfo`: the mounts a process sees (proc_pid_mountinfo(5), `show_mountinfo` in
 * fs/proc_namespace.c).
 *
 * ```text
 * 945 727 0:183 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/…/fs,upperdir=/var/lib/…/fs
 * 957 945 254:0 /var/lib/kubelet/pods/…/scratch /data rw,noatime shared:3 master:1 - ext4 /dev/vda rw
 * ```
 *
 * In order: mount id, parent's id, device, root, mount point, options, any number of optional fields, `-`,
 * filesystem type, source, superblock options.
 */

import { isDevice, parseUnsigned, splitLines } from "./text.ts";

/** One mount, without its options. Paths and names are decoded; bytes that are not UTF-8 read as U+FFFD. */
export interface Mount {
  readonly mountId: number;
  /** Of a mount that the process cannot see, for the root of its tree. */
  readonly parentId: number;
  /** `major:minor` of the filesystem; all mounts of one filesystem have the same. */
  readonly device: string;
  /**
   * What of the filesystem is mounted: `/` for all of it, else the path within it of a bind mount, which may be a
   * single file, and which ends in `//deleted` once that is deleted. Namespaces: `net:[4026531840]`.
   */
  readonly root: string;
  /** As seen from the process's root. */
  readonly mountPoint: string;
  /** Whether what is mounted beneath it elsewhere is mounted here too: it is shared, or another one's slave. */
  readonly isPropagated: boolean;
  /** With a subtype where there is one: `fuse.sshfs`. */
  readonly fsType: string;
  /** Device, server or whatever name was given; may be empty. */
  readonly source: string;
}

/** The content of a mountinfo. */
export interface MountInfo {
  /** In the kernel's order. */
  readonly mounts: readonly Mount[];
  /** Lines that were not understood. */
  readonly skipped: number;
}

/** Reads a mountinfo. */
export function parseMountInfo(text: string): MountInfo {
  const mounts: Mount[] = [];
  const { complete, rest } = splitLines(text);
  let skipped = rest === "" ? 0 : 1;
  for (const line of complete) {
    if (line === "") continue;
    const mount = mountOf(line);
    if (mount === undefined) skipped++;
    else mounts.push(mount);
  }
  return { mounts, skipped };
}

/** Each field is held to what the kernel prints in its place, so that no field is taken for its neighbour. */
function mountOf(line: string): Mount | undefined {
  const fields = line.split(" ");
  const [id = "", parent = "", device = "", root = "", mountPoint = "", options = ""] = fields;
  const dash = fields.indexOf("-", 6);
  const [fsType, source, superOptions] = dash < 0 ? [] : fields.slice(dash + 1);
  const mountId = parseUnsigned(id);
  const parentId = parseUnsigned(parent);
  if (mountId === undefined || parentId === undefined || !isDevice(device)) return undefined;
  if (root === "" || !mountPoint.startsWith("/") || !/^r[ow](?:,|$)/.test(options)) return undefined;
  if (fsType === undefined || source === undefined || superOptions === undefined) return undefined;
  // No path has a NUL in it, and behind one the system would not see the rest.
  if (/\0|\\000/.test(line)) return undefined;
  return {
    mountId,
    parentId,
    device,
    root: decode(root),
    mountPoint: decode(mountPoint),
    isPropagated: fields.slice(6, dash).some((field) => /^(?:shared|master):/.test(field)),
    fsType: decode(fsType),
    source: decode(source),
  };
}

/** Undoes the kernel's octal escapes: `\040` `\011` `\012` `\134` everywhere, and some others in places. */
function decode(field: string): string {
  if (!field.includes("\\")) return field;
  return field.replaceAll(/(?:\\[0-3][0-7]{2})+/g, (escapes) => {
    const bytes = escapes.slice(1).split("\\").map((octal) => parseInt(octal, 8));
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
  });
}
