/** One pod with one container, interface, disk and filesystem, in a real agent over files and a stand-in for the kernel's maps. */
import { Agent } from "../../src/agent.ts";
import { createCollectors } from "../../src/collectors/list.ts";
import { type Config, parseConfig } from "../../src/config.ts";
import type { Pod } from "../../src/discovery/pod.ts";
import { createLogger } from "../../src/log.ts";
import { SLOTS } from "../../src/metrics/histogram.ts";
import { rendered } from "../exposition.ts";
import { HostRoot } from "../../src/native/host_files.ts";
import { filesystemSize } from "../unit/filesystem_size.ts";
import { FakeKernel } from "../unit/fake_kernel.ts";
import { kernelFile, LIMITED, PROCESSES, WRITER } from "../unit/kernel_files.ts";

const UID = "0f8fad5b-d9cb-469f-a165-70867728950e";
const CONTAINER = "ab".repeat(32);
const PID = 42;
const CGROUP = `kubepods.slice/kubepods-pod${
  UID.replaceAll("-", "_")
}.slice/cri-containerd-${CONTAINER}.scope`;

/** A container that meets its limits says most of itself; it does no I/O, which another one does. */
const CGROUP_FILES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      "cpu.stat",
      "cpu.pressure",
      "io.pressure",
      "memory.pressure",
      "memory.current",
      "memory.max",
      "memory.stat",
      "memory.swap.current",
      "pids.current",
    ].map((name) => [name, kernelFile(LIMITED, name)]),
  ),
  "io.stat": kernelFile(WRITER, "io.stat"),
  "cgroup.events": "populated 1\nfrozen 0\n",
};

const POD: Pod = {
  uid: UID,
  namespace: "default",
  name: "reference",
  labels: {},
  hostNetwork: false,
  containers: [{ name: "main", kind: "container", ids: [CONTAINER] }],
};

/** What the agent serves of the pod in a profile: the lines of text format that have its name, and their comments. */
export async function referencePod(profile: Config["profile"]): Promise<string> {
  await using cleanup = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir();
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  const config = parseConfig({
    NODE_NAME: "node1",
    NODE_IP: "10.0.0.1",
    KPOD_PROFILE: profile,
    KPOD_CGROUP_ROOT: `${directory}/cgroup`,
    KPOD_PROC_ROOT: `${directory}/proc`,
    KPOD_SYS_ROOT: `${directory}/sys`,
  }, { arch: "x86_64", programDirectory: directory, hostname: "node1" });
  const id = await writeFiles(directory);
  const kernel = kernelOf(id, config.syscalls.tracked.map(({ number }) => number));
  const log = createLogger("error", "text");
  const agent = new Agent(
    {
      node: config.nodeName,
      cgroupRoot: config.cgroupRoot,
      pollIntervalMs: config.pollIntervalMs,
      kubeletPollIntervalMs: config.kubelet.pollIntervalMs,
      collectors: createCollectors({ ...config, syscalls: config.syscalls.tracked, log }).collectors,
      loadPrograms: () => kernel,
      build: { version: "", deno: "", libbpf: "", kernel: "" },
      processFamilies: () => [],
    },
    {
      state: { pods: [POD], lastSuccess: 0, answeredAt: 0, generation: 1, errors: new Map(), malformed: 0 },
      pollEarly: () => {},
    },
    log,
  );
  cleanup.defer(() => agent.stop());
  const text = await rendered((await agent.snapshot()).families, "prometheus");
  const families = text.trimEnd().split("\n\n").filter((family) => family.includes(`pod="${POD.name}"`));
  return `${families.join("\n\n")}\n`;
}

/** Returns the cgroup's id. */
async function writeFiles(directory: string): Promise<bigint> {
  const write = (path: string, text: string) => {
    Deno.mkdirSync(`${directory}/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
    Deno.writeTextFileSync(`${directory}/${path}`, text);
  };
  write("cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
  for (const [name, text] of Object.entries(CGROUP_FILES)) write(`cgroup/${CGROUP}/${name}`, text);
  write(`proc/${PID}/cgroup`, `0::/${CGROUP}\n`);
  write(`proc/${PID}/net/dev`, kernelFile(PROCESSES.writer, "net/dev"));
  Deno.mkdirSync(`${directory}/proc/${PID}/root`);
  using root = HostRoot.open(`${directory}/proc/${PID}/root`);
  // The mount that this directory is on: another one would not be taken for the container's.
  const { mountId = 0 } = await filesystemSize(root, ".");
  write(`proc/${PID}/mountinfo`, `${mountId} 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n`);
  write("sys/dev/block/254:0/uevent", "MAJOR=254\nMINOR=0\nDEVNAME=vda\nDEVTYPE=disk\n");
  return BigInt(Deno.statSync(`${directory}/cgroup/${CGROUP}`).ino ?? 0);
}

/** Maps that count something of everything. */
function kernelOf(id: bigint, syscalls: readonly number[]): FakeKernel {
  const kernel = new FakeKernel();
  const slots = Array.from({ length: SLOTS }, (_, slot) => slot + 1);
  kernel.put("cpu_sched", id, {
    runqueue_latency_slots: slots,
    runqueue_latency_ns: 1_500_000_000,
    context_switches: 2,
  });
  kernel.put("tcp", id, {
    bytes_sent: 3,
    bytes_received: 4,
    retransmits: 5,
    connections_active: 6,
    connections_passive: 7,
    connect_failures: 8,
    rtt_slots: slots,
    rtt_ns: 2_500_000_000,
  });
  kernel.put("oom", id, { kills: 9 });
  kernel.put("page_faults", id, { major: 10 });
  for (const number of syscalls) {
    const counts = { count: 100 + number, errors: 11, latency_slots: slots, latency_ns: 3_500_000_000 };
    kernel.put("syscall", { cgroup_id: id, number }, counts);
  }
  return kernel;
}
