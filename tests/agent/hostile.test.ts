/**
 * Containers that mean harm: by what they call things, where their links lead, and how much they make of everything. The
 * agent as a whole, over real mounts and interfaces, must serve other pods' series, well-formed and no others.
 */
import assert from "node:assert/strict";
import { openMetricsErrors } from "../exposition.ts";
import { MountedProcess } from "../kernel/mounts.ts";
import { needsLab } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import type { LabPod } from "../lab/pods.ts";
import { AgentProcess, type Labels, Scrape } from "./agent.ts";

const SETTINGS: Labels = {
  KPOD_PROFILE: "custom",
  KPOD_COLLECTORS: "interface,filesystem,cpu",
  KPOD_POLL_INTERVAL_MS: "600000",
};

/** As `printf` of a shell takes it. */
interface Name {
  readonly what: string;
  readonly shell: string;
  /** `undefined` if it has no series. */
  readonly text: string | undefined;
}

const MOUNT_NAMES: readonly Name[] = [
  {
    what: "exposition",
    shell: 'x"} 1\\nkpod_forged_total{pod="victim"} 666\\n# HELP kpod_forged_total forged\\n# EOF',
    text: 'x"} 1\nkpod_forged_total{pod="victim"} 666\n# HELP kpod_forged_total forged\n# EOF',
  },
  {
    what: "a line of the log",
    shell: '\\n{"level":"error","message":"forged"}',
    text: '\n{"level":"error","message":"forged"}',
  },
  { what: "the end of a label", shell: 'a\\\\"\\\\\\\\",b="', text: 'a\\"\\\\",b="' },
  { what: "the end of a line", shell: "a\\rkpod_forged_total 1", text: "a\rkpod_forged_total 1" },
  // Its path cannot be said, so it cannot be asked; nor is it taken for the one whose name it reads like.
  { what: "no text", shell: "\\377", text: undefined },
  { what: "what stands for no text", shell: "\\357\\277\\275", text: "\uFFFD" },
  {
    what: "a mount",
    shell: "b 0:1 _ _ rw - tmpfs tmpfs rw\\n1 1 0:1 _ _forged rw - tmpfs tmpfs rw",
    text: "b 0:1 _ _ rw - tmpfs tmpfs rw\n1 1 0:1 _ _forged rw - tmpfs tmpfs rw",
  },
  { what: "a terminal's command", shell: "\\033[2Jc\\007", text: "\x1b[2Jc\x07" },
];

const SERVED = MOUNT_NAMES.filter(({ text }) => text !== undefined);

/** The kernel takes anything without spaces, slashes and colons. */
const INTERFACE_NAMES = ['a"}1', "b\\n", "c{,}=\\", 'd",e="'];

/** A node with a pod that is watched and one that means harm, and what both should have whatever that does. */
async function start(commands: string, settings: Labels = {}) {
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await LabNode.start());
  const [victim, hostile] = [
    await node.addPod({ name: "victim" }),
    await node.addPod({ name: "hostile", ownNetwork: true }),
  ];
  const watched = stack.use(
    await MountedProcess.start(victim.container(), "mkdir a && mount -t tmpfs -o size=8m a a"),
  );
  const mounted = stack.use(await MountedProcess.start(hostile.container(), commands));
  const agent = stack.use(await AgentProcess.ready({ ...node.agentEnvironment(), ...SETTINGS, ...settings }));
  const owned = stack.move();
  return {
    node,
    agent,
    hostile,
    directory: mounted.directory,
    pid: mounted.pid,
    /** A scrape that has the watched pod's filesystem, and of the other's what is asked for. */
    scrape: (condition: (scrape: Scrape) => boolean = () => true) =>
      agent.until(
        "both pods have their series",
        (scrape) =>
          scrape.sum("kpod_fs_capacity_bytes", { pod: "victim", mountpoint: `${watched.directory}/a` }) ===
            8 << 20 &&
          scrape.find("kpod_cpu_usage_seconds_total", { pod: "hostile" }).length === 1 && condition(scrape),
      ),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Asserts that the agent is well, and that each of its lines is one it has written. */
function assertWell(agent: AgentProcess, scrape: Scrape): void {
  assert.ok(scrape.find("kpod_collector_up").every(({ value }) => value === 1), agent.log);
  assert.equal(scrape.find("kpod_forged_total").length, 0);
  for (
    const line of agent.log.trimEnd().split("\n").filter((line) => !line.includes("experimental feature"))
  ) {
    const { time, message } = JSON.parse(line);
    assert.ok(typeof time === "string" && message !== "forged", line);
  }
}

/** The exposition as Prometheus asks for it, held to every rule of it. */
async function openMetrics({ url }: AgentProcess): Promise<string> {
  const response = await fetch(`${url}/metrics`, {
    headers: { accept: "application/openmetrics-text; version=1.0.0" },
  });
  const text = await response.text();
  assert.deepEqual(openMetricsErrors(text), []);
  return text;
}

function mountPoints(scrape: Scrape, pod: string): string[] {
  return scrape.find("kpod_fs_capacity_bytes", { pod }).map(({ labels }) =>
    Object.fromEntries(labels).mountpoint ?? ""
  );
}

/** Runs `ip` in the network of the pod. */
async function ip({ sandboxPid }: LabPod, args: readonly string[], input = ""): Promise<void> {
  const child = new Deno.Command("nsenter", {
    args: ["--target", String(sandboxPid), "--net", "--", "ip", ...args],
    stdin: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  assert.ok((await child.status).success, `ip ${args.join(" ")}`);
}

/** The log's lines of a message. */
function told({ log }: AgentProcess, message: RegExp): Record<string, unknown>[] {
  return log.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line))
    .filter((line) => message.test(line.message));
}

Deno.test(
  "names of mounts and interfaces that read like exposition or a log stay names, to the letter",
  needsLab,
  async () => {
    const mounts = MOUNT_NAMES.map(({ shell }) =>
      `n=$(printf '${shell}'); mkdir "./$n"; mount -t tmpfs -o size=4m tmpfs "./$n"`
    );
    await using lab = await start(mounts.join("\n"));
    const [one = "", two = "", three = "", four = ""] = INTERFACE_NAMES;
    await ip(lab.hostile, ["link", "add", "name", one, "type", "veth", "peer", "name", two]);
    await ip(lab.hostile, ["link", "add", "name", three, "type", "veth", "peer", "name", four]);
    const scrape = await lab.scrape((scrape) =>
      mountPoints(scrape, "hostile").length > SERVED.length &&
      scrape.find("kpod_net_iface_rx_bytes_total", { pod: "hostile" }).length === INTERFACE_NAMES.length
    );
    assertWell(lab.agent, scrape);
    const own = mountPoints(scrape, "hostile").filter((path) => path.startsWith(lab.directory));
    assert.deepEqual(own.sort(), SERVED.map(({ text }) => `${lab.directory}/${text}`).sort());
    const interfaces = scrape.find("kpod_net_iface_rx_bytes_total", { pod: "hostile" })
      .map(({ labels }) => Object.fromEntries(labels).interface);
    assert.deepEqual(interfaces.sort(), INTERFACE_NAMES.toSorted());
    await openMetrics(lab.agent);
  },
);

/** Mounts that many at once. */
function manyMounts(count: number, directory = "."): string {
  return `for i in $(seq ${count}); do mkdir -p "${directory}/$i"; echo "tmpfs $PWD/${directory}/$i tmpfs size=4m 0 0"; done > tab
    mount --all --fstab tab`;
}

Deno.test(
  "three thousand mounts cost a pod its own series beyond its limit, the same ones at each scrape",
  needsLab,
  async () => {
    await using lab = await start(manyMounts(3000), { KPOD_MAX_SERIES_PER_POD: "1000" });
    const isFull = (scrape: Scrape) => scrape.sum("kpod_series_dropped", { limit: "pod" }) > 0;
    const first = await lab.scrape(isFull);
    assertWell(lab.agent, first);
    const served = mountPoints(first, "hostile").sort();
    const all = first.series.filter(({ labels }) => labels.some(([, value]) => value === "hostile"));
    assert.ok(all.length <= 1000 && all.length > 1000 - 3, `${all.length} series`);
    // A thousand filesystems are looked at, of three series each.
    assert.equal(first.sum("kpod_series_dropped", { limit: "pod" }), 3 * (1000 - served.length));
    for (let cycle = 0; cycle < 3; cycle++) {
      const next = await lab.agent.fresh();
      assert.deepEqual(mountPoints(next, "hostile").sort(), served);
    }
    await openMetrics(lab.agent);
    assert.deepEqual(told(lab.agent, /^series are left out/).map(({ pods }) => pods), ["default/hostile"]);
    assert.equal(told(lab.agent, /^filesystems of a container are left out/).length, 1);
  },
);

Deno.test("three hundred interfaces cost a pod its own series beyond its limit", needsLab, async () => {
  await using lab = await start("", { KPOD_MAX_SERIES_PER_POD: "1000" });
  const links = Array.from(
    { length: 150 },
    (_, index) => `link add name a${index} type veth peer name b${index}\n`,
  );
  await ip(lab.hostile, ["-batch", "-"], links.join(""));
  const scrape = await lab.scrape((scrape) => scrape.sum("kpod_series_dropped", { limit: "pod" }) > 0);
  assertWell(lab.agent, scrape);
  const served = scrape.find("kpod_net_iface_rx_bytes_total", { pod: "hostile" }).length;
  assert.ok(served > 0 && served < 125, String(served));
});

const LONG = "n".repeat(250);

Deno.test(
  "a mount point of four thousand bytes has no series, and takes nobody else's",
  needsLab,
  async () => {
    const deep = Array(15).fill(LONG).join("/");
    await using lab = await start(
      `mkdir -p ${deep} short; mount -t tmpfs -o size=4m tmpfs ${deep}; mount -t tmpfs -o size=4m tmpfs short`,
    );
    const scrape = await lab.scrape((scrape) =>
      mountPoints(scrape, "hostile").includes(`${lab.directory}/short`)
    );
    assertWell(lab.agent, scrape);
    assert.equal(scrape.sum("kpod_series_dropped", { limit: "label" }), 3);
    assert.ok(mountPoints(scrape, "hostile").every((path) => path.length < 1024));
  },
);

Deno.test(
  "a list of mounts too long to be read leaves out that container's filesystems alone, told once",
  needsLab,
  async () => {
    const deep = Array(14).fill(LONG).join("/");
    await using lab = await start(manyMounts(650, deep));
    const scrape = await lab.scrape();
    assertWell(lab.agent, scrape);
    assert.deepEqual(mountPoints(scrape, "hostile"), []);
    await lab.agent.fresh();
    const lines = told(lab.agent, /^filesystems of a container are left out/);
    assert.deepEqual(lines.map(({ pod, container }) => [pod, container]), [["hostile", "main"]]);
    assert.match(String(lines[0]?.error), /mountinfo: EMSGSIZE/);
  },
);

/** Puts links and the like in the place of a directory and back, until there is a file that says so. */
const SWAP = `
  cd "$0"
  until [ -e enough ]; do
    mv p kept; ln -s elsewhere p; rm p; ln -s /proc/1/root p; rm p; ln -s / p; rm p; mkfifo p; rm p; mv kept p
  done`;

Deno.test(
  "paths that are turned into links while they are looked at lead nowhere else",
  needsLab,
  async () => {
    await using lab = await start(`
    mkdir p elsewhere && mkdir p/q && mount -t tmpfs -o size=6m tmpfs p/q
    mount -t tmpfs -o size=9m tmpfs elsewhere && mkdir elsewhere/q`);
    const args = ["--target", String(lab.pid), "--mount", "--", "sh", "-c", SWAP, lab.directory];
    const swapping = new Deno.Command("nsenter", { args }).spawn();
    let seen = 0;
    try {
      for (let cycle = 0; cycle < 8; cycle++) {
        const scrape = await lab.agent.fresh();
        for (const path of mountPoints(scrape, "hostile").filter((path) => path.endsWith("/q"))) {
          assert.equal(scrape.sum("kpod_fs_capacity_bytes", { pod: "hostile", mountpoint: path }), 6 << 20);
          seen++;
        }
        assertWell(lab.agent, scrape);
      }
    } finally {
      await Deno.writeTextFile(`${lab.directory}/enough`, "");
      await swapping.status;
    }
    assert.ok(seen > 0);
  },
);
