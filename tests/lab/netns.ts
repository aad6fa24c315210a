/**
 * Network of pods that have a namespace of their own. As in a real pod it belongs to the sandbox process and
 * is named by its id, so it needs no mount, and goes when the process goes, with links and rules.
 */

/** The path by which another process enters the namespace of `pid`. */
export function networkOf(pid: number): string {
  return `/proc/${pid}/ns/net`;
}

/** One end of a link. */
export interface LinkEnd {
  /** The sandbox process that holds the namespace. */
  readonly pid: number;
  /** Interface name, such as `eth0`. */
  readonly name: string;
  /** IPv4 address, in a network of 30 bits with the other end. */
  readonly address: string;
}

/** Joins two namespaces by a veth pair. Needs `ip` and `nsenter`. */
export async function link(a: LinkEnd, b: LinkEnd): Promise<void> {
  await run("ip", [
    ...["link", "add", "name", a.name, "netns", String(a.pid), "type", "veth"],
    ...["peer", "name", b.name, "netns", String(b.pid)],
  ]);
  for (const end of [a, b]) {
    await inside(end.pid, ["ip", "address", "add", `${end.address}/30`, "dev", end.name]);
    await inside(end.pid, ["ip", "link", "set", end.name, "up"]);
  }
}

/**
 * Drops that many in a hundred of the TCP packets that come in, loopback included, so that senders must send
 * again; 0 ends it. Needs `nft` and nf_tables, but not netem. Packets are dropped on the way in because a drop on the
 * way out is told to the sender at once, which then does not count it as sent.
 */
export async function dropTcp(pid: number, percent: number): Promise<void> {
  const match = percent >= 100 ? "" : `numgen random mod 100 < ${percent} `;
  const rule = percent > 0 ? `meta l4proto tcp ${match}drop` : "";
  await inside(
    pid,
    ["nft", "-f", "-"],
    [
      "add table inet lab",
      "flush table inet lab",
      "table inet lab {",
      "chain input { type filter hook input priority 0; policy accept;",
      rule,
      "}\n}\n",
    ].join("\n"),
  );
}

function inside(pid: number, command: string[], input = ""): Promise<void> {
  return run("nsenter", ["--target", String(pid), "--net", "--", ...command], input);
}

async function run(program: string, args: string[], input = ""): Promise<void> {
  const options = { args, stdin: "piped", stdout: "null", stderr: "piped" } as const;
  const process = new Deno.Command(program, options).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { success, stderr } = await process.output();
  if (success) return;
  const message = new TextDecoder().decode(stderr).trim();
  throw new Error(`Cannot run ${[program, ...args].join(" ")}: got ${message}`);
}
