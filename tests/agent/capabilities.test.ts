/** The agent confined as its DaemonSet confines it has all it serves, and without each capability just what that is for is lost. */
import assert from "node:assert/strict";
import { COLLECTOR_ENTRIES } from "../../src/collectors/list.ts";
import { type Capability, maskOf } from "../../src/native/capabilities.ts";
import { PROFILES } from "../../src/profiles.ts";
import { MountedProcess } from "../kernel/mounts.ts";
import { needsPrograms } from "../kernel/requirements.ts";
import { LabNode } from "../lab/node.ts";
import { AgentProcess, type Labels, NO_TIMER, runAgent, type Scrape } from "./agent.ts";
import { NODE, parsed } from "./doctor.ts";
import { setOf, threadsOf } from "./threads.ts";
import { AGENT_CAPABILITIES, canBe, confine, type Confinement } from "./confined.ts";

type Profile = keyof typeof PROFILES;

const WEB = { pod: "web" };
const EBPF = COLLECTOR_ENTRIES.filter(({ signals }) => signals.length > 0).map(({ name }) => name);
const NOBODY = 65534;
const NO_SUCH = "which this process does not have";

/** A node with a pod that moves what collectors count, and one whose container the agent is to be. */
async function startNode() {
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await LabNode.start());
  const [web, other] = [
    await node.addPod({ name: "web", ownNetwork: true }),
    await node.addPod({ name: "other", ownNetwork: true }),
  ];
  await node.link(web, other);
  const self = await node.addPod({ name: "agent" });
  const calls = await node.run(web.container(), ["syscalls"]);
  const owned = stack.move();
  return {
    node,
    /** Has something counted, and scrapes until the condition is met: filesystems may be late on a busy machine. */
    async scrape(agent: AgentProcess, condition: (scrape: Scrape) => boolean): Promise<Scrape> {
      await calls.go(10);
      const { cycles } = await agent.fresh();
      return await agent.until("it serves that", (scrape) => scrape.cycles >= cycles && condition(scrape));
    },
    confine: (confinement: Confinement) => confine(node, self.container(), confinement),
    /** Starts the agent, and waits until it is ready. */
    async agent(confinement: Confinement, more: Labels): Promise<AgentProcess> {
      const { settings, wrapper } = await confine(node, self.container(), confinement);
      return await AgentProcess.ready({ ...NO_TIMER, ...settings, ...more }, wrapper);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The collectors that have series of a pod. */
function served(scrape: Scrape, pod: Labels): string[] {
  const hasSeries = (name: string) =>
    scrape.find(name, pod).length > 0 || scrape.find(`${name}_count`, pod).length > 0;
  return COLLECTOR_ENTRIES.filter(({ descriptors }) => descriptors.some(({ name }) => hasSeries(name)))
    .map(({ name }) => name);
}

/** What an agent with all there is serves here: not every machine has a controller for everything. */
async function servedUnconfined(profile: string): Promise<string[]> {
  await using lab = await startNode();
  const settings = { ...NO_TIMER, ...lab.node.agentEnvironment(), KPOD_PROFILE: profile };
  await using agent = await AgentProcess.ready(settings);
  const hasFilesystems = (scrape: Scrape) =>
    profile === "minimal" || served(scrape, WEB).includes("filesystem");
  return served(await lab.scrape(agent, hasFilesystems), WEB);
}

const unconfined: Partial<Record<string, Promise<string[]>>> = {};

/** What the agent keeps of its capabilities where it looks into containers; elsewhere none. */
const KEPT: readonly Capability[] = ["SYS_PTRACE", "DAC_READ_SEARCH"];

/** Asserts that the agent was given these capabilities and is that user, and that all threads have what is kept. */
function assertConfined(
  { pid }: AgentProcess,
  { capabilities, uid = 0 }: Confinement,
  profile: Profile,
): void {
  const [child] = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(" ");
  const keeps = (PROFILES[profile] as readonly string[]).includes("filesystem") ? KEPT : [];
  const kept = maskOf(keeps.filter((name) => capabilities.includes(name)));
  for (const status of threadsOf(Number(child))) {
    // Whoever may not change it is left what it can never get at with no_new_privs.
    assert.equal(setOf(status, "CapBnd"), maskOf(capabilities));
    assert.deepEqual([setOf(status, "CapPrm"), setOf(status, "CapEff")], [kept, kept]);
    assert.match(
      status,
      new RegExp(`^Uid:\\s${uid}\\s${uid}\\s[^]*^NSpid:\\s\\d+\\s\\d+$[^]*^NoNewPrivs:\\s1$`, "m"),
    );
  }
}

interface Case {
  readonly what: string;
  readonly confinement: Confinement;
  readonly profile?: Profile;
  readonly settings?: Labels;
  /** The collectors that have no series for it. */
  readonly lost: readonly string[];
  /** What the reason of every signal ends with. */
  readonly reason?: string;
  /** What is logged, once. */
  readonly told?: RegExp;
}

const without = (name: Capability): Confinement => ({
  capabilities: AGENT_CAPABILITIES.filter((each) => each !== name),
});

const CASES: readonly Case[] = [
  {
    what: "with the DaemonSet's capabilities it serves everything",
    confinement: { capabilities: AGENT_CAPABILITIES },
    lost: [],
  },
  {
    what: "without CAP_BPF it loses what eBPF counts",
    confinement: without("BPF"),
    lost: EBPF,
    reason: `it takes CAP_BPF, ${NO_SUCH}`,
  },
  {
    what: "without CAP_PERFMON it loses what eBPF counts",
    confinement: without("PERFMON"),
    lost: EBPF,
    reason: `it takes CAP_PERFMON, ${NO_SUCH}`,
  },
  {
    what: "without CAP_SYS_PTRACE it loses the filesystems",
    confinement: without("SYS_PTRACE"),
    lost: ["filesystem"],
    told: /"warn","message":"filesystems of containers are left out: [^"]*; grant CAP_SYS_PTRACE"/,
  },
  {
    what: "without any it serves what files say, with eBPF switched off",
    confinement: { capabilities: [] },
    settings: { KPOD_BPF_ENABLED: "false" },
    lost: [...EBPF, "filesystem"],
    told: /grant CAP_SYS_PTRACE/,
  },
  {
    what: "the profile minimal needs two capabilities, and not the host's /proc",
    confinement: { capabilities: ["BPF", "PERFMON"], hostProc: false },
    profile: "minimal",
    lost: [],
  },
  {
    what: "the profile minimal works as another user who has the two capabilities",
    confinement: { capabilities: ["BPF", "PERFMON"], hostProc: false, uid: NOBODY },
    profile: "minimal",
    lost: [],
  },
  {
    what: "the profile comprehensive works as another user who has all three",
    confinement: { capabilities: AGENT_CAPABILITIES, uid: NOBODY },
    lost: [],
  },
];

Deno.test("each of the DaemonSet's capabilities is tried without", () => {
  const missing = AGENT_CAPABILITIES.filter((name) =>
    CASES.some(({ confinement }) =>
      confinement.capabilities.join() === without(name).capabilities.join() && confinement.uid === undefined
    )
  );
  assert.deepEqual(missing, AGENT_CAPABILITIES);
});

const CAN_BE_NOBODY = !needsPrograms.ignore && canBe(NOBODY);
if (!CAN_BE_NOBODY) console.error("The agent is not run as another user, who cannot read this checkout");

for (const { what, confinement, profile = "comprehensive", settings = {}, lost, reason, told } of CASES) {
  const ignore = confinement.uid === undefined ? needsPrograms.ignore : !CAN_BE_NOBODY;
  Deno.test(what, { ignore }, async () => {
    await using lab = await startNode();
    await using agent = await lab.agent(confinement, { KPOD_PROFILE: profile, ...settings });
    assertConfined(agent, confinement, profile);
    const all = await (unconfined[profile] ??= servedUnconfined(profile));
    for (const collector of lost) assert.ok(all.includes(collector), `${collector} is none to lose here`);
    const left = all.filter((name) => !lost.includes(name));
    const scrape = await lab.scrape(
      agent,
      (scrape) => left.every((name) => served(scrape, WEB).includes(name)),
    );
    assert.deepEqual(served(scrape, WEB), left);
    const up = scrape.find("kpod_collector_up").filter(({ value }) => value === 1);
    assert.deepEqual(up.map(({ labels }) => labels[0]?.[1]).sort(), PROFILES[profile].toSorted());
    assertSignals(scrape, reason, settings.KPOD_BPF_ENABLED !== "false");
    assert.equal(
      agent.log.match(/"level":"(?:warn|error)"/g)?.length ?? 0,
      warnings(scrape) + (told ? 1 : 0),
    );
    if (told !== undefined) assert.match(agent.log, told);
  });
}

/** Asserts that all signals are attached, or that the reason why none is ends with this. */
function assertSignals(scrape: Scrape, reason: string | undefined, isEnabled: boolean): void {
  const info = scrape.find("kpod_bpf_program_info").map(({ labels }) => Object.fromEntries(labels));
  assert.equal(info.length > 0, isEnabled);
  for (const { signal, state, reason: said = "" } of info) {
    assert.equal(state, reason === undefined ? "attached" : "unavailable", signal);
    assert.ok(said.endsWith(reason ?? said), said);
  }
}

/** A program that is not available is a warning. */
function warnings(scrape: Scrape): number {
  return scrape.find("kpod_bpf_program_info", { state: "unavailable" }).length;
}

Deno.test("the agent's own container has what others have", needsPrograms, async () => {
  await using lab = await startNode();
  await using agent = await lab.agent({ capabilities: AGENT_CAPABILITIES }, { KPOD_PROFILE: "standard" });
  const own = { pod: "agent", container: "main" };
  await lab.scrape(agent, (scrape) => served(scrape, own).includes("filesystem"));
});

Deno.test("the preflight, confined in the same way, finds nothing to mend", needsPrograms, async () => {
  await using lab = await startNode();
  const { settings, wrapper } = await lab.confine({ capabilities: AGENT_CAPABILITIES });
  const { code, output, log } = await runAgent({ ...NODE, ...settings }, {
    args: ["doctor", "--json"],
    wrapper,
  });
  assert.equal(code, 0, log + output);
  const findings = parsed(output);
  assert.equal(findings.get("capabilities")?.found, AGENT_CAPABILITIES.join(", "));
  const { status, found } = findings.get("host processes") ?? {};
  assert.equal(status, "ok", found);
  assert.match(found ?? "", /^seen in .*\/host\/proc: process \d+ is a container's$/);
});

/** Filesystems that a root without CAP_DAC_READ_SEARCH may and may not reach. */
const MOUNTS = `
  mkdir open private private/inside
  mount -t tmpfs -o size=8m open open
  mount -t tmpfs -o size=9m inside private/inside
  chown 1000 private && chmod 0700 private`;

for (
  const [what, more, reached] of [
    ["is left out and told once, and the rest is there", [], false],
    ["is there with CAP_DAC_READ_SEARCH", ["DAC_READ_SEARCH"], true],
  ] as const
) {
  Deno.test(`a filesystem in a directory of another user's ${what}`, needsPrograms, async () => {
    await using lab = await startNode();
    const pod = await lab.node.addPod({ name: "files" });
    await using process = await MountedProcess.start(pod.container(), MOUNTS);
    const confinement = { capabilities: [...AGENT_CAPABILITIES, ...more] };
    await using agent = await lab.agent(confinement, { KPOD_PROFILE: "standard" });
    const expected = { "/open": 8 << 20, "/private/inside": reached ? 9 << 20 : 0 };
    for (let cycle = 0; cycle < 2; cycle++) {
      await lab.scrape(agent, (scrape) => {
        const capacity = (mountpoint: string) =>
          scrape.sum("kpod_fs_capacity_bytes", { pod: "files", mountpoint });
        const found = Object.keys(expected).map((path) => capacity(`${process.directory}${path}`));
        return capacity("/") > 0 && found.join() === Object.values(expected).join();
      });
    }
    const told = agent.log.match(/"level":"info","message":"filesystem is left out: [^\n]*/g) ?? [];
    assert.equal(told.length, reached ? 0 : 1, told.join("\n"));
    if (!reached) {
      assert.match(
        told[0] ?? "",
        /CAP_DAC_READ_SEARCH.*"pod":"files","container":"main".*\/private\/inside"/,
      );
    }
  });
}
