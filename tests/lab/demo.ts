/** Pods with a moderate, endless load that makes every eBPF metric move, for a machine without a kubelet. */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { LabNode } from "./node.ts";
import type { LabContainer, LabPod, PodSpec } from "./pods.ts";

const MEBIBYTE = 1 << 20;
/** How long the pod that uses too much memory lives, the first time and later. */
const FIRST_OOM_MS = 3_000;
const OOM_EVERY_MS = 20_000;

/** A running demonstration; end it before its node. */
export interface Demo {
  stop(): Promise<void>;
}

/**
 * Adds the pods to the node, in the namespace `demo`, and keeps them busy.
 * A load that fails is told to `onError`, once, and stays stopped.
 */
export async function startDemo(node: LabNode, onError: (error: Error) => void): Promise<Demo> {
  const ending = new AbortController();
  const loads: Promise<void>[] = [];
  /** Repeats a step with a pause after each until the demonstration ends. */
  const every = (milliseconds: number, step: () => Promise<unknown>) => {
    const load = async () => {
      for (;;) {
        await step();
        await pause(milliseconds, undefined, ending);
      }
    };
    loads.push(
      load().catch((error) => {
        if (!ending.signal.aborted) onError(error);
      }),
    );
  };
  const add = (spec: PodSpec) => node.addPod({ namespace: "demo", labels: { app: spec.name }, ...spec });

  await webPair(node, await add(web("frontend")), await add(web("backend")), every);
  await lossyTransfer(
    node,
    await add({ name: "lossy", ownNetwork: true, containers: ["sender", "receiver"] }),
    every,
  );
  await refusedConnections(node, (await add({ name: "refused" })).container(), every);
  await coldReads(node, (await add({ name: "indexer", qosClass: "Burstable" })).container(), every);
  await systemCalls(node, (await add({ name: "syscalls" })).container(), every);
  await contendedCpu(node, (await add({ name: "batch", qosClass: "Burstable" })).container(), every);
  const hungry = await add({
    name: "hungry",
    qosClass: "Guaranteed",
    containers: [{
      name: "main",
      limits: { cpu: "100m", memory: "32Mi" },
      requests: { cpu: "100m", memory: "32Mi" },
      memoryLimitBytes: 32 * MEBIBYTE,
    }],
  });
  let age = FIRST_OOM_MS;
  every(0, async () => {
    await outOfMemory(node, hungry.container(), () => pause(age, undefined, ending));
    age = OOM_EVERY_MS;
  });
  return {
    async stop() {
      ending.abort();
      await Promise.all(loads);
    },
  };
}

type Every = (milliseconds: number, step: () => Promise<unknown>) => void;

function web(name: string): PodSpec {
  return { name, ownNetwork: true, qosClass: "Burstable" };
}

/** Small requests with their responses, and now and then a megabyte. */
async function webPair(node: LabNode, frontend: LabPod, backend: LabPod, every: Every): Promise<void> {
  const [, address] = await node.link(frontend, backend);
  const container = backend.container();
  const echo = await node.run(container, ["tcp-server", address, "0", "--mode", "echo"]);
  const sink = await node.run(container, ["tcp-server", address, "0"]);
  const requests = await node.run(frontend.container(), ["tcp-client", address, String(echo.port)]);
  const upload = await node.run(frontend.container(), ["tcp-client", address, String(sink.port)]);
  every(250, () => requests.send("rr 10 2000"));
  every(2_000, () => upload.go(MEBIBYTE));
}

/** Transfers of which three packets in a hundred are lost: retransmits. */
async function lossyTransfer(node: LabNode, pod: LabPod, every: Every): Promise<void> {
  await node.dropTcp(pod, 3);
  const server = await node.run(pod.container("receiver"), ["tcp-server", "127.0.0.1", "0"]);
  const args = ["tcp-client", "127.0.0.1", String(server.port), "--chunk", "4096"];
  const client = await node.run(pod.container("sender"), args);
  every(1_000, () => client.go(MEBIBYTE));
}

/** One connection a second to port 1, where nothing listens. */
async function refusedConnections(node: LabNode, container: LabContainer, every: Every): Promise<void> {
  const client = await node.run(container, ["tcp-client", "127.0.0.1", "1"]);
  every(1_000, () => client.send("connect"));
}

/** Pages that are not in the page cache: major faults. */
async function coldReads(node: LabNode, container: LabContainer, every: Every): Promise<void> {
  const workload = await node.run(container, ["fault", join(node.directory, "index")]);
  every(1_000, () => workload.go(20));
}

async function systemCalls(node: LabNode, container: LabContainer, every: Every): Promise<void> {
  const calls = await node.run(container, ["syscalls"]);
  const sleeps = await node.run(container, ["sleep-syscall", "--call", "futex"]);
  every(500, () => calls.go(200));
  every(500, () => sleeps.go(10, 2_000));
}

/** Three threads that want one CPU at once, and two that wake each other: run-queue latency. */
async function contendedCpu(node: LabNode, container: LabContainer, every: Every): Promise<void> {
  const threads = await node.run(container, ["spin", "--threads", "3"], { pin: true });
  const wakeups = await node.run(container, ["switch"], { pin: true });
  every(1_000, () => threads.go(15));
  every(1_000, () => wakeups.go(1_000));
}

/** Uses twice the memory it may when its time has come; it is killed, and the kubelet restarts it. */
async function outOfMemory(node: LabNode, container: LabContainer, life: () => Promise<void>): Promise<void> {
  const workload = await node.run(container, ["alloc"]);
  await workload.go(8);
  await life();
  const survived = await workload.go(64).then(() => true, () => false);
  if (survived) throw new Error("Cannot run out of memory: the container's limit does not hold");
  await node.restartContainer(container, { exitCode: 137, reason: "OOMKilled" });
}
