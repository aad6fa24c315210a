/**
 * A node of files: those captured of a real kubelet's node, with counters that grow. It has the metrics of cgroup files
 * on a machine whose cgroup v2 has no controllers.
 */
import { createCertificates } from "../lab/certificates.ts";
import { Kubelet } from "../lab/kubelet.ts";
import { AgentProcess, ROOT, SHORT_INTERVALS } from "../agent/agent.ts";

const FILES = `${ROOT}/tests/fixtures/kubelet-1.36/systemd/steady`;
export const RECORDED_NODE = "recorded-node";
const TOKEN = "recorded";

/** All collectors of files but `filesystem`: a file cannot say how full a filesystem is. */
const COLLECTORS = "disk,interface,cpu,memory,pressure,pids";

const STEP_MS = 250;

/** The numbers of these files only ever grow: what a step adds to each, by what comes before it. */
const GROWTH: Readonly<Record<string, readonly (readonly [before: RegExp, step: number])[]>> = {
  "cpu.stat": [
    [/(?<=^(?:usage|user|system)_usec )\d+/gm, 20_000],
    [/(?<=^nr_periods )\d+/gm, 4],
    [/(?<=^nr_throttled )\d+/gm, 2],
    [/(?<=^throttled_usec )\d+/gm, 50_000],
  ],
  "cpu.pressure": [[/(?<=total=)\d+/g, 100_000]],
  "memory.pressure": [[/(?<=total=)\d+/g, 50_000]],
  "io.pressure": [[/(?<=total=)\d+/g, 100_000]],
  "io.stat": [[/(?<=[rw]bytes=)\d+/g, 65_536], [/(?<=[rw]ios=)\d+/g, 16]],
  "dev": [[/(?<=\s)\d+(?=\s|$)/g, 1]],
};

/** Starts an agent over a copy of the files, whose counters grow until it is disposed of. */
export async function startRecordedNode(): Promise<{ agent: AgentProcess } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir({ prefix: "kpod-recorded-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  await copy(FILES, directory);
  const growing = [...filesBelow(directory)].flatMap((path) => {
    const growth = GROWTH[path.slice(path.lastIndexOf("/") + 1)];
    return growth === undefined ? [] : [{ path, growth, text: Deno.readTextFileSync(path) }];
  });
  const timer = setInterval(() => growing.forEach(grow), STEP_MS);
  stack.defer(() => clearInterval(timer));
  const certificates = await createCertificates(directory, RECORDED_NODE);
  const pods = JSON.parse(Deno.readTextFileSync(`${directory}/pods.json`));
  const kubelet = stack.use(Kubelet.start({ pods: () => pods, certificates, token: TOKEN }));
  Deno.writeTextFileSync(`${directory}/token`, TOKEN);
  Deno.writeTextFileSync(`${directory}/ca.crt`, certificates.ca);
  const agent = stack.use(
    await AgentProcess.ready({
      ...SHORT_INTERVALS,
      NODE_NAME: RECORDED_NODE,
      KPOD_KUBELET_URL: kubelet.url,
      KPOD_KUBELET_TOKEN_FILE: `${directory}/token`,
      KPOD_KUBELET_CA_FILE: `${directory}/ca.crt`,
      KPOD_CGROUP_ROOT: `${directory}/tree/sys/fs/cgroup`,
      KPOD_PROC_ROOT: `${directory}/proc`,
      KPOD_SYS_ROOT: `${directory}/tree/sys`,
      KPOD_BPF_ENABLED: "false",
      KPOD_PROFILE: "custom",
      KPOD_COLLECTORS: COLLECTORS,
    }),
  );
  const owned = stack.move();
  return { agent, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface GrowingFile {
  readonly path: string;
  readonly growth: readonly (readonly [before: RegExp, step: number])[];
  text: string;
}

/** Overwrites the file in place: the agent keeps it open, and must never find it empty. */
function grow(file: GrowingFile): void {
  for (const [number, step] of file.growth) {
    file.text = file.text.replace(number, (value) => String(Number(value) + step));
  }
  using open = Deno.openSync(file.path, { write: true });
  open.writeSync(new TextEncoder().encode(file.text));
}

function* filesBelow(directory: string): Generator<string> {
  for (const { name, isDirectory, isFile } of Deno.readDirSync(directory)) {
    if (isDirectory) yield* filesBelow(`${directory}/${name}`);
    if (isFile) yield `${directory}/${name}`;
  }
}

async function copy(from: string, to: string): Promise<void> {
  const { success } = await new Deno.Command("cp", { args: ["-a", `${from}/.`, to] }).output();
  if (!success) throw new Error(`Cannot copy ${from} to ${to}`);
}
