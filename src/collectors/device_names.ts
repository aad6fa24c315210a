/** Names of block devices. */
import type { HostRoot } from "../native/host_files.ts";

/**
 * Returns a function that tells the name of the device `major:minor`, from `dev/block/<device>/uevent` of a sysfs
 * (`DEVNAME=sda`), or gives the numbers back where there is none. A name is asked for once.
 */
export function deviceNames(sys: Pick<HostRoot, "readText">): (device: string) => string {
  const names = new Map<string, string>();
  return (device) => {
    const known = names.get(device);
    if (known !== undefined) return known;
    const name = nameOf(sys, device);
    // A device that has no name yet may get one.
    if (name !== undefined) names.set(device, name);
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
