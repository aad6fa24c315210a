/** Names of block devices. */
import type { HostRoot } from "../native/host_files.ts";

/**
 * Returns a function that tells the name of the device `major:minor`, from `dev/block/<device>/uevent` of a sysfs
 * (`DEVNAME=sda`). It looks each time, as NVMe disks and others take numbers that are free again; a device that is gone
 * keeps its last name, and one that never had any is called by its number.
 */
export function deviceNames(sys: Pick<HostRoot, "readText">): (device: string) => string {
  const last = new Map<string, string>();
  return (device) => {
    const name = nameOf(sys, device) ?? last.get(device);
    if (name !== undefined) last.set(device, name);
    return name ?? device;
  };
}

function nameOf(sys: Pick<HostRoot, "readText">, device: string): string | undefined {
  try {
    return /^DEVNAME=(.+)$/m.exec(sys.readText(`dev/block/${device}/uevent`))?.[1];
  } catch {
    return undefined;
  }
}
